/**
 * Every limit of the daemon, in one place, so that no two parts can drift apart (design invariant 7).
 * Sizes are bytes and times milliseconds unless the name says otherwise.
 */
export const LIMITS = {
  /** A message above this is recorded as `oversized` and left on the server. A mailbox may set less or more. */
  messageBytes: 50 * 1024 * 1024,
  /** The highest value a mailbox may set for its own message limit. */
  messageBytesCeiling: 512 * 1024 * 1024,
  /** Raw messages up to this size are stored inside PostgreSQL; larger ones are streamed to a file. */
  inlineRawBytes: 256 * 1024,

  /** MIME structure (checked before any tree is built). */
  mimeDepth: 50,
  mimeParts: 1_000,
  headerCount: 1_000,
  headerBytes: 1024 * 1024,
  addressesPerField: 1_000,
  referencesCount: 100,
  messageIdLength: 998,
  filenameLength: 255,
  /** Decoded body text kept for rules, search and the record; the raw message keeps the rest. */
  bodyTextChars: 1024 * 1024,
  bodyHtmlChars: 4 * 1024 * 1024,
  subjectChars: 2_000,
  headerValueChars: 10_000,

  /** Parser workers. A task that passes its time is killed with its thread. */
  parseTimeoutMs: 10_000,
  parseTimeoutPerMegabyteMs: 1_000,
  parseHeapMegabytes: 256,

  /** Rules. */
  ruleCount: 20_000,
  ruleTextChars: 256 * 1024,
  rulePatternChars: 1_000,
  rulePatternsPerRule: 20,
  ruleFieldMappings: 100,
  extractedValueChars: 4_000,

  /** Intake. */
  batchMessages: 200,
  batchBytes: 16 * 1024 * 1024,
  fetchAttempts: 5,
  dispositionAttempts: 10,
  connectionsPerHost: 20,
  connectsPerHostPerMinute: 120,

  /** Processing. */
  processingAttempts: 3,
  jobMessages: 50,
  queueDepth: 50_000,
  claimSeconds: 120,

  /** API. */
  requestBytes: 80 * 1024 * 1024,
  pageSize: 1_000,
  batchItems: 1_000,

  /** Free disk below this pauses intake (bytes). */
  diskFreeBytes: 512 * 1024 * 1024,
} as const;
