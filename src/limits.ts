/**
 * Every limit of the daemon, in one place, so that no two parts can drift apart (design invariant 7).
 * Sizes are bytes and times milliseconds unless the name says otherwise.
 */
export const LIMITS = {
  /** A message above this is recorded as `oversized` and left on the server. A mailbox may set less or more. */
  messageBytes: 50 * 1024 * 1024,
  /** The highest value a mailbox may set for its own message limit. */
  messageBytesCeiling: 512 * 1024 * 1024,
  /**
   * Raw messages up to this size, of a batch together, are stored inside PostgreSQL. A larger message is streamed to a
   * file; small ones that together are more become one file.
   */
  inlineRawBytes: 256 * 1024,
  /** Bytes of messages just stored that are kept at hand for the worker. */
  recentRawBytes: 16 * 1024 * 1024,

  /** MIME structure (checked before any tree is built). */
  mimeDepth: 50,
  mimeParts: 1_000,
  headerCount: 1_000,
  headerBytes: 1024 * 1024,
  addressesPerField: 1_000,
  referencesCount: 100,
  messageIdLength: 998,
  filenameLength: 255,
  /** Encoded bytes of a TNEF container that are read for the names of the files in it. */
  tnefBytes: 32 * 1024 * 1024,
  /** Decoded body text kept for rules, search and the record; the raw message keeps the rest. */
  bodyTextChars: 1024 * 1024,
  bodyHtmlChars: 4 * 1024 * 1024,
  subjectChars: 2_000,
  headerValueChars: 10_000,

  /** Parser workers. A task that passes its time is killed with its thread. */
  parseTimeoutMs: 10_000,
  parseTimeoutPerMegabyteMs: 1_000,
  parseHeapMegabytes: 256,
  parseYoungMegabytes: 24,

  /** Rules. */
  ruleCount: 20_000,
  ruleTextChars: 256 * 1024,
  rulePatternChars: 1_000,
  rulePatternsPerRule: 20,
  /** Instructions of a compiled pattern; repetitions written out count. */
  rulePatternSize: 1_000,
  /** Text characters times pattern size that one search may take: what bounds its time, without a clock. */
  rulePatternWork: 8_000_000,
  /** Characters that all patterns together may read for one message. */
  rulePatternCharsPerMessage: 128 * 1024 * 1024,
  /** A rule that was too expensive so often within an hour, and matched nothing meanwhile, is switched off. */
  ruleOverruns: 20,
  /** Patterns kept compiled in each thread that matches. */
  rulePatternsCompiled: 2_000,
  /** One condition, tag, search text or constant of a rule. */
  ruleConditionChars: 4_000,
  ruleFieldMappings: 100,
  extractedValueChars: 4_000,

  /** Intake. */
  batchMessages: 400,
  /** The same where each message is a request of its own, so that the first ones are not kept waiting. */
  batchRequests: 200,
  batchBytes: 16 * 1024 * 1024,
  fetchAttempts: 5,
  /** Messages that a person may ask for again in one call. */
  refetchAtOnce: 1_000,
  /** How often a whole folder is compared with the ledger, for messages that became visible late. */
  lateCheckSeconds: 3_600,
  /** Why something failed, as kept with a row. */
  reasonChars: 1_000,
  /** A longer name of a posted message is replaced by its digest: an index entry must fit into a page. */
  postedKeyBytes: 1_000,
  /** Parts in parts of a posted MIME tree. */
  postedPartDepth: 12,
  dispositionAttempts: 10,
  /** Messages up to this size may be asked for together with their listing. */
  readAheadBytes: 32 * 1024,
  /** UIDs that one IMAP command names: a line of 8,000 octets is the longest that every server takes (RFC 7162 section 4). */
  uidsPerCommand: 500,
  /** One answer of Microsoft Graph that is not a message. */
  graphAnswerBytes: 32 * 1024 * 1024,
  /** Contacts of a mailbox in one answer. */
  contacts: 5_000,
  /** Effects asked for at once where they take hold only as the session ends. */
  dispositionsAtEnd: 10_000,
  /** POP3: one line of an answer, lines of a listing, and a unique-id that is taken as it is (70 are allowed). */
  pop3LineBytes: 8 * 1024,
  pop3Messages: 1_000_000,
  pop3KeyChars: 200,
  pop3Capabilities: 200,
  /** The longest pause between logins that a server can ask for. */
  pop3LoginDelaySeconds: 3_600,
  /** Defaults of settings. */
  connectionsPerHost: 20,
  connectsPerHostPerMinute: 120,

  /** Processing. */
  processingAttempts: 3,
  /** As many as a batch of the intake, which so becomes one job: what a queue costs, it costs for each job. */
  jobMessages: 400,
  queueDepth: 50_000,
  claimSeconds: 120,
  /** Records that are looked at for one Message-ID: there are senders that have one for all their mail. */
  sameMessageId: 100,

  /** Sending. A mail that could not be sent for so many days has failed. */
  outgoingDays: 3,
  /** Attachments of one mail together (bytes), how many, and recipients of one mail. */
  outgoingBytes: 36 * 1024 * 1024,
  outgoingAttachments: 100,
  outgoingRecipients: 500,
  /** Mails that one item of a request may become. */
  outgoingAtOnce: 1_000,
  /** Mails that one address gets from us by ourselves. */
  automaticPerHour: 5,
  automaticPerDay: 20,
  /** A request that says the same within this time is a repeated one (seconds). */
  outgoingRepeatSeconds: 600,
  /** Destinations. Failures in a row before a destination is left alone, and for how long (seconds). */
  breakerFailures: 5,
  breakerSeconds: 30,
  breakerSecondsMost: 900,
  /** The longest time that a destination can ask to be left alone. */
  retryAfterSecondsMost: 86_400,
  /** Bytes of an answer that are read; it is cut off beyond. */
  answerBytes: 256 * 1024,
  /** Of an answer that says no, as kept with the delivery. */
  answerShownChars: 300,
  destinationUrlChars: 2_000,
  destinations: 200,
  signingKeys: 5,
  /** Fields of a rule in one event; further ones are in the record. */
  eventFields: 100,
  /** Time of an attempt beyond the requests themselves, before another process may take it. */
  deliveryClaimSeconds: 60,
  /** A delivery that has been under way for longer is reported (seconds). */
  undeliveredSeconds: 900,
  replayAtOnce: 10_000,

  /** API. */
  requestBytes: 80 * 1024 * 1024,
  /** Bodies that carry records but no mail. */
  recordRequestBytes: 16 * 1024 * 1024,
  /** Bodies above the small size that are held in memory at once, in all. */
  requestBytesAtOnce: 256 * 1024 * 1024,
  requestBytesSmall: 1024 * 1024,
  requestTimeoutMs: 120_000,
  /** How long running requests may take to end when the daemon stops. */
  requestGraceMs: 3_000,
  diagnosisMs: 60_000,
  /** Wrong secrets from one address; more are not looked at until the minute is over. */
  signInFailuresPerMinute: 30,
  /** Notifications of providers: one post, posts of one address in a minute, and items that wait to be noted. */
  notificationBytes: 1024 * 1024,
  notificationsPerMinute: 30_000,
  notificationsWaiting: 20_000,
  /** Notifications fetched in one call of Pub/Sub, which allows 1,000. */
  notificationsPulled: 500,
  pageSize: 1_000,
  /** Hits of a search in the address book that are collected, counted, and put into the order asked for. More come by id. */
  addressBookHits: 5_000,
  /** Users that are looked at by id, where so many should fit that a page is soon full. */
  addressBookRows: 20_000,
  /** Hits that are collected to be sorted by id, where that was not so; of a list without a search, in any order. */
  addressBookSorted: 50_000,
  /** Words of a search. */
  addressBookWords: 8,
  /** Larger messages are not put into JSON; they are downloaded. */
  rawInJsonBytes: 32 * 1024 * 1024,
  releaseAtOnce: 10_000,
  batchItems: 1_000,

  /** Free disk below this pauses intake (bytes). */
  diskFreeBytes: 512 * 1024 * 1024,

  /** Watching. A mailbox that polls very often still gets this long for a listing (seconds). */
  staleSecondsLeast: 15,
  /** A long sync that stored nothing for this long is no reason any more to call its mailbox healthy (seconds). */
  syncProgressSeconds: 120,
  /** Mail that waits longer than this for processing is reported (seconds). */
  unprocessedSeconds: 900,
  /** A state must last this long before people are told that it changed (seconds). */
  alertAfterSeconds: 120,
  /** Time for all questions of one health check. */
  healthDeadlineMs: 3_000,
  /** Answers of a health check are given out again for this long. */
  healthReuseMs: 1_000,
  /** Mailboxes in the answer of a health check, the sick ones first. */
  healthMailboxes: 1_000,
  /** An event loop that is late by this much does no useful work. */
  eventLoopLagMs: 10_000,
  /** Messages that are held up are counted up to this many of a kind. */
  heldUpCount: 50_000,
  /** Rules with a metric of their own; hits of all others are counted together. */
  metricRules: 500,

  /** Embedded database. A server that says it is recovering from a crash gets the longer time to start. */
  engineInitMs: 120_000,
  engineStartMs: 60_000,
  engineRecoveryMs: 600_000,
  /** Before an orderly stop becomes an immediate one, and that one is enforced. */
  engineStopMs: 6_000,
  engineRestarts: 5,
  engineRestartWindowMs: 60_000,
} as const;

/** The limits as numbers, for functions that a test calls with others. */
export type Limits = { readonly [K in keyof typeof LIMITS]: number };
