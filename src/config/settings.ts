/**
 * The one table of settings: name in the file, environment variable, what is allowed, default and meaning.
 * docs/operator/configuration.md is generated from it, and `penstock config check` prints it.
 */
import Type, { type TSchema } from 'typebox';
import { LIMITS } from '../limits.ts';

export interface Setting {
  /** Dotted path in the YAML file. */
  path: string;
  env: string;
  schema: TSchema;
  default: unknown;
  /** One sentence for an operator. */
  about: string;
  secret?: boolean;
}

const port = Type.Integer({ minimum: 0, maximum: 65_535 });
const text = Type.String({ minLength: 1 });
const optionalText = Type.Union([text, Type.Null()]);
const optionalUrl = (...schemes: string[]) => {
  const starts = schemes.map((scheme) => `${scheme}://`);
  const description = `a URL that begins with ${starts.join(' or ')}`;
  return Type.Union([Type.String({ pattern: `^(${starts.join('|')}).`, description }), Type.Null()]);
};

export const ROLES = ['api', 'poller', 'worker'] as const;
export type Role = (typeof ROLES)[number];

export const SETTINGS = [
  {
    path: 'server.host',
    env: 'PENSTOCK_HOST',
    schema: text,
    default: '127.0.0.1',
    about: 'Address the API listens on.',
  },
  {
    path: 'server.port',
    env: 'PENSTOCK_PORT',
    schema: port,
    default: 8080,
    about: 'Port the API listens on; 0 picks a free one.',
  },
  {
    path: 'server.publicUrl',
    env: 'PENSTOCK_PUBLIC_URL',
    schema: optionalUrl('http', 'https'),
    default: null,
    about:
      'URL clients reach the API at, when a proxy stands in front. With https, Microsoft Graph is asked to tell of new mail there.',
  },
  {
    path: 'server.trustProxy',
    env: 'PENSTOCK_TRUST_PROXY',
    schema: Type.Boolean(),
    default: false,
    about: 'Believe X-Forwarded-* headers. Only behind a proxy of your own.',
  },
  {
    path: 'server.requestsPerMinute',
    env: 'PENSTOCK_REQUESTS_PER_MINUTE',
    schema: Type.Integer({ minimum: 1 }),
    default: 1200,
    about: 'Requests a client may make each minute; above it gets 429.',
  },
  {
    path: 'data',
    env: 'PENSTOCK_DATA',
    schema: text,
    default: './data',
    about: 'Directory for large messages, keys and the embedded database.',
  },
  {
    path: 'roles',
    env: 'PENSTOCK_ROLES',
    schema: Type.Array(Type.Enum([...ROLES]), { minItems: 1, uniqueItems: true }),
    default: [...ROLES],
    about: 'What this process does: api, poller, worker.',
  },
  {
    path: 'database.url',
    env: 'DATABASE_URL',
    schema: optionalUrl('postgres', 'postgresql'),
    default: null,
    secret: true,
    about: 'PostgreSQL to use; without it an embedded one runs in the data directory.',
  },
  {
    path: 'database.connections',
    env: 'PENSTOCK_DATABASE_CONNECTIONS',
    schema: Type.Integer({ minimum: 2, maximum: 200 }),
    default: 10,
    about: 'Connections this process keeps to PostgreSQL.',
  },
  {
    path: 'queue.redisUrl',
    env: 'REDIS_URL',
    schema: optionalUrl('redis', 'rediss'),
    default: null,
    secret: true,
    about: 'Redis for the queue; without it the queue lives in PostgreSQL.',
  },
  {
    path: 'secrets.keyFile',
    env: 'PENSTOCK_KEY_FILE',
    schema: optionalText,
    default: null,
    about:
      'File with the key that encrypts secrets; default: secret.key in the data directory, made at first start.',
  },
  {
    path: 'worker.threads',
    env: 'PENSTOCK_WORKER_THREADS',
    schema: Type.Integer({ minimum: 1, maximum: 64 }),
    default: 2,
    about: 'Threads that parse messages, at most. More than one start only when a message takes long.',
  },
  {
    path: 'worker.parseTimeoutMs',
    env: 'PENSTOCK_PARSE_TIMEOUT_MS',
    schema: Type.Integer({ minimum: 100, maximum: 600_000 }),
    default: 10_000,
    about: 'A message whose parsing takes longer goes to quarantine (plus a second for each megabyte).',
  },
  {
    path: 'poller.staleIntervals',
    env: 'PENSTOCK_STALE_INTERVALS',
    schema: Type.Integer({ minimum: 1, maximum: 100 }),
    default: 3,
    about: 'A mailbox is unhealthy after this many poll intervals without a complete listing.',
  },
  {
    path: 'poller.leaseSeconds',
    env: 'PENSTOCK_LEASE_SECONDS',
    schema: Type.Integer({ minimum: 2, maximum: 600 }),
    default: 30,
    about: 'How long a mailbox stays with a process that no longer renews its claim.',
  },
  {
    path: 'poller.connectionsPerHost',
    env: 'PENSTOCK_CONNECTIONS_PER_HOST',
    schema: Type.Integer({ minimum: 1, maximum: 10_000 }),
    default: LIMITS.connectionsPerHost,
    about:
      'Connections this process keeps to one mail host; mailboxes above it take turns. Hosted mail often bears more.',
  },
  {
    path: 'poller.connectsPerMinute',
    env: 'PENSTOCK_CONNECTS_PER_MINUTE',
    schema: Type.Integer({ minimum: 2, maximum: 100_000 }),
    default: LIMITS.connectsPerHostPerMinute,
    about: 'New connections this process makes to one mail host in a minute.',
  },
  {
    path: 'gmail.topic',
    env: 'PENSTOCK_GMAIL_TOPIC',
    schema: Type.Union([
      Type.String({
        pattern: '^projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/topics/[A-Za-z][\\w.~+%-]{2,254}$',
        description: 'a topic such as projects/my-project/topics/mail',
      }),
      Type.Null(),
    ]),
    default: null,
    about: 'Pub/Sub topic that Gmail tells of new mail; without it Gmail mailboxes are only polled.',
  },
  {
    path: 'gmail.pushAccount',
    env: 'PENSTOCK_GMAIL_PUSH_ACCOUNT',
    schema: optionalText,
    default: null,
    about: 'Service account whose name the pushes of that topic carry; without it none is taken.',
  },
  {
    path: 'gmail.pushAudience',
    env: 'PENSTOCK_GMAIL_PUSH_AUDIENCE',
    schema: optionalText,
    default: null,
    about:
      'Audience of the pushes, when the Pub/Sub subscription names another than its endpoint below server.publicUrl.',
  },
  {
    path: 'pubsub.subscription',
    env: 'PENSTOCK_PUBSUB_SUBSCRIPTION',
    schema: Type.Union([
      Type.String({
        pattern: '^projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/subscriptions/[A-Za-z][\\w.~+%-]{2,254}$',
        description: 'a subscription such as projects/my-project/subscriptions/mail',
      }),
      Type.Null(),
    ]),
    default: null,
    about:
      'Pub/Sub subscription to gmail.topic that Penstock fetches from; for those who cannot be reached by pushes.',
  },
  {
    path: 'pubsub.keyFile',
    env: 'PENSTOCK_PUBSUB_KEY_FILE',
    schema: optionalText,
    default: null,
    about: 'Key of the service account that may fetch from it, the JSON file that Google gives.',
  },
  {
    path: 'destinations.allow',
    env: 'PENSTOCK_DESTINATIONS_ALLOW',
    schema: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,255}(/[0-9]{1,3})?$' }), {
      uniqueItems: true,
      description: 'hosts, addresses and networks, each once',
    }),
    default: [],
    about:
      'Hosts, addresses and networks (10.1.0.0/16) beside the public internet that outcomes may be sent to, also without TLS.',
  },
  {
    path: 'retention.processedDays',
    env: 'PENSTOCK_RETENTION_DAYS',
    schema: Type.Integer({ minimum: 0 }),
    default: 14,
    about:
      'Days that processed mail, sent mail and delivered outcomes are kept; 0 keeps them for ever. What failed is never removed by itself.',
  },
  {
    path: 'log.level',
    env: 'PENSTOCK_LOG_LEVEL',
    schema: Type.Enum(['trace', 'debug', 'info', 'warn', 'error']),
    default: 'info',
    about: 'Least severity that is logged.',
  },
  {
    path: 'log.format',
    env: 'PENSTOCK_LOG_FORMAT',
    schema: Type.Enum(['auto', 'json', 'pretty']),
    default: 'auto',
    about: 'json for machines, pretty for people; auto is pretty on a terminal.',
  },
  {
    path: 'mail.subjectStartTag',
    env: 'PENSTOCK_SUBJECT_START_TAG',
    schema: Type.String(),
    default: '[ID:',
    about: 'Text before a ticket id in a subject.',
  },
  {
    path: 'mail.subjectEndTag',
    env: 'PENSTOCK_SUBJECT_END_TAG',
    schema: Type.String(),
    default: ']',
    about: 'Text after a ticket id in a subject.',
  },
  {
    path: 'mail.mustMatchRule',
    env: 'PENSTOCK_MUST_MATCH_RULE',
    schema: Type.Boolean(),
    default: false,
    about: 'Mail that matches no rule and no ticket is ignored.',
  },
  {
    path: 'mail.stopNewTickets',
    env: 'PENSTOCK_STOP_NEW_TICKETS',
    schema: Type.Boolean(),
    default: false,
    about: 'Mail makes no new tickets, except by rule.',
  },
  {
    path: 'mail.matchSubjectAndSender',
    env: 'PENSTOCK_MATCH_SUBJECT_AND_SENDER',
    schema: Type.Boolean(),
    default: false,
    about: 'Thread by equal subject and sender when nothing better is there.',
  },
  {
    path: 'mail.onlySameMailbox',
    env: 'PENSTOCK_ONLY_SAME_MAILBOX',
    schema: Type.Boolean(),
    default: false,
    about: 'A reply joins a ticket only in the mailbox the ticket came from.',
  },
  {
    path: 'mail.autoReplyDontUpdate',
    env: 'PENSTOCK_AUTO_REPLY_DONT_UPDATE',
    schema: Type.Boolean(),
    default: false,
    about: 'An auto-reply is recorded but does not change its ticket.',
  },
  {
    path: 'mail.privateFromOtherDomain',
    env: 'PENSTOCK_PRIVATE_FROM_OTHER_DOMAIN',
    schema: Type.Boolean(),
    default: false,
    about: "Mail from another domain than the ticket's requester is hidden from end users.",
  },
  {
    path: 'mail.ticketTypeId',
    env: 'PENSTOCK_TICKET_TYPE_ID',
    schema: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
    default: 0,
    about:
      "Number of the ticket type when neither the rule nor the mailbox names one; 0 leaves it to the tickets' system.",
  },
  {
    path: 'mail.alertTicketTypeId',
    env: 'PENSTOCK_ALERT_TICKET_TYPE_ID',
    schema: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
    default: 0,
    about: 'The same for tickets of alert rules; 0 takes mail.ticketTypeId.',
  },
] as const satisfies readonly Setting[];

/** The effective configuration, in the shape of the file. */
export interface Config {
  server: {
    host: string;
    port: number;
    publicUrl: string | null;
    trustProxy: boolean;
    requestsPerMinute: number;
  };
  data: string;
  roles: Role[];
  database: { url: string | null; connections: number };
  queue: { redisUrl: string | null };
  secrets: { keyFile: string | null };
  worker: { threads: number; parseTimeoutMs: number };
  poller: {
    staleIntervals: number;
    leaseSeconds: number;
    connectionsPerHost: number;
    connectsPerMinute: number;
  };
  gmail: { topic: string | null; pushAccount: string | null; pushAudience: string | null };
  pubsub: { subscription: string | null; keyFile: string | null };
  destinations: { allow: string[] };
  retention: { processedDays: number };
  log: { level: 'trace' | 'debug' | 'info' | 'warn' | 'error'; format: 'auto' | 'json' | 'pretty' };
  mail: {
    subjectStartTag: string;
    subjectEndTag: string;
    mustMatchRule: boolean;
    stopNewTickets: boolean;
    matchSubjectAndSender: boolean;
    onlySameMailbox: boolean;
    autoReplyDontUpdate: boolean;
    privateFromOtherDomain: boolean;
    ticketTypeId: number;
    alertTicketTypeId: number;
  };
}
