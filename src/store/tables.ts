/** The tables as kysely sees them. One interface a table, in the order of the migrations. */
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { DestinationKind, DestinationSettings } from '../deliver/destination.ts';
import type { EventType, OutcomeEvent } from '../deliver/event.ts';
import type { ErrorCode } from '../errors.ts';
import type { Rule } from '../rule/rule.ts';
import type { Mailbox, Recipients, RefusedRecipient } from '../send/mail.ts';
import type { SourceKind } from '../source/source.ts';
import type { CredentialSettings, MailboxRowSettings } from './mailbox-settings.ts';
import type {
  DeliveryState,
  EmailState,
  LedgerState,
  MailboxPhase,
  OutgoingKind,
  OutgoingState,
  ResyncState,
} from './states.ts';

type Timestamp = ColumnType<Date, Date | string, Date | string>;
type MadeAt = ColumnType<Date, Date | string | undefined, Date | string>;
type Json<T extends object | null> = JSONColumnType<T>;

export interface Tables {
  mailbox: {
    id: Generated<number>;
    guid: Generated<string>;
    name: string;
    kind: SourceKind;
    enabled: Generated<boolean>;
    settings: Json<MailboxRowSettings>;
    halo: ColumnType<Record<string, unknown>, string | undefined, string>;
    change_seq: Generated<number>;
    created_at: MadeAt;
    deleted_at: Timestamp | null;
  };
  mailbox_state: {
    mailbox_id: number;
    phase: ColumnType<MailboxPhase, MailboxPhase | undefined, MailboxPhase>;
    phase_since: MadeAt;
    last_listed_at: Timestamp | null;
    last_error_code: string | null;
    last_error: string | null;
    last_error_at: Timestamp | null;
    consecutive_errors: Generated<number>;
    missing_folders: Generated<string[]>;
    next_attempt_at: Timestamp | null;
    sync_done: Generated<number>;
    sync_total: Generated<number>;
    sync_started_at: Timestamp | null;
    sync_progress_at: Timestamp | null;
  };
  lease: { mailbox_id: number; owner: string; token: number; expires_at: Timestamp };
  folder: {
    id: Generated<number>;
    mailbox_id: number;
    path: string;
    epoch: string | null;
    cursor: string | null;
    first_cursor: string | null;
    resync: ColumnType<ResyncState | null, string | null | undefined, string | null>;
    last_listed_at: Timestamp | null;
    late_check_at: Timestamp | null;
  };
  raw_message: {
    sha256: Buffer;
    size: number;
    place: 'inline' | 'file' | 'pack';
    bytes: Buffer | null;
    pack: string | null;
    pack_offset: number | null;
    created_at: MadeAt;
  };
  ledger: {
    id: Generated<number>;
    mailbox_id: number;
    folder_id: number;
    epoch: string;
    key: string;
    state: LedgerState;
    reason: string | null;
    incoming_email_id: number | null;
    raw_sha256: Buffer | null;
    header_sha256: Buffer | null;
    size: number;
    internal_date: Timestamp | null;
    fetch_attempts: Generated<number>;
    next_fetch_at: Timestamp | null;
    disposition: ColumnType<
      'none' | 'pending' | 'done' | 'gone' | 'failed',
      'none' | 'pending' | 'done' | 'gone' | 'failed' | undefined,
      'none' | 'pending' | 'done' | 'gone' | 'failed'
    >;
    disposition_attempts: Generated<number>;
    disposition_error: string | null;
    next_disposition_at: Timestamp | null;
    first_seen_at: MadeAt;
  };
  incoming_email: {
    id: Generated<number>;
    mailbox_id: number;
    ledger_id: number;
    source: SourceKind | 'api' | 'import';
    mail_id: string;
    raw_sha256: Buffer;
    size: number;
    copy: Generated<number>;
    state: ColumnType<EmailState, EmailState | undefined, EmailState>;
    attempts: Generated<number>;
    retry_remaining: Generated<number>;
    next_attempt_at: Timestamp | null;
    enqueued_at: Timestamp | null;
    claim_token: number | null;
    claimed_until: Timestamp | null;
    created_at: MadeAt;
    last_attempt_at: Timestamp | null;
    processed_at: Timestamp | null;
    internal_date: Timestamp | null;
    header_date: Timestamp | null;
    received_at: Timestamp | null;
    from_address: Generated<string>;
    from_text: Generated<string>;
    to_text: Generated<string>;
    cc_text: Generated<string>;
    subject: Generated<string>;
    message_id: string | null;
    parts: ColumnType<unknown, string | null | undefined, string | null>;
    class: string | null;
    class_evidence: ColumnType<unknown, string | null | undefined, string | null>;
    rule_id: number | null;
    rules_version: number | null;
    rule_evidence: ColumnType<unknown, string | null | undefined, string | null>;
    extractions: ColumnType<unknown, string | null | undefined, string | null>;
    thread_evidence: ColumnType<unknown, string | null | undefined, string | null>;
    outcome: ColumnType<unknown, string | null | undefined, string | null>;
    ticket_id: number | null;
    requester_id: number | null;
    error_code: string | null;
    error_stage: string | null;
    error_message: string | null;
    error_fingerprint: string | null;
    removed_from_server: Generated<boolean>;
    outbound: Generated<boolean>;
    agent_id: number | null;
    add_to_ticket_id: number | null;
    deleted_at: Timestamp | null;
    search: ColumnType<string, never, never>;
  };
  trace: { id: Generated<number>; ledger_id: number; at: MadeAt; events: Json<object[]> };
  email_rule: {
    id: Generated<number>;
    name: string;
    sequence: number;
    mailbox_id: number | null;
    definition: Json<Omit<Rule, 'id'>>;
    created_at: MadeAt;
    updated_at: MadeAt;
  };
  rule_change: {
    version: Generated<number>;
    rule_id: number;
    at: MadeAt;
    actor: string;
    definition: ColumnType<Omit<Rule, 'id'> | null, string | null, string | null>;
  };
  site: {
    id: Generated<number>;
    name: string;
    client_id: Generated<number>;
    email_domains: Generated<string[]>;
    to_domains: Generated<string[]>;
    created_at: MadeAt;
  };
  requester: {
    id: Generated<number>;
    name: string;
    first_name: Generated<string>;
    surname: Generated<string>;
    address: string;
    alternative_addresses: ColumnType<string[], string[] | undefined, string[]>;
    login: Generated<string>;
    site_id: Generated<number>;
    client_id: Generated<number>;
    is_agent: Generated<boolean>;
    inactive: Generated<boolean>;
    created_at: MadeAt;
    organisation_id: Generated<number>;
    department_id: Generated<number>;
    toplevel_id: Generated<number>;
    linked_agent_id: Generated<number>;
    relationship_id: Generated<number>;
    linked_user_id: Generated<number>;
    is_approver: Generated<boolean>;
    is_service_account: Generated<boolean>;
    role_list: Generated<string>;
    azure_id: Generated<string>;
    okta_id: Generated<string>;
    halo: ColumnType<Record<string, unknown>, string | undefined, string>;
    updated_at: MadeAt;
    words: ColumnType<string, never, never>;
    phones: ColumnType<string, never, never>;
  };
  control: {
    id: Generated<number>;
    settings: ColumnType<Record<string, unknown>, string | undefined, string>;
  };
  ticket: {
    id: Generated<number>;
    mailbox_id: number | null;
    type_id: Generated<number>;
    subject: string;
    open: Generated<boolean>;
    read: Generated<boolean>;
    alert_key: string | null;
    supplier_reference: string | null;
    assigned_agent_id: Generated<number>;
    requester_id: number | null;
    participants: ColumnType<string[], string[] | undefined, string[]>;
    fields: ColumnType<object[], string | undefined, string>;
    external: ColumnType<Record<string, unknown>, string | undefined, string>;
    created_at: MadeAt;
    updated_at: MadeAt;
    closed_at: Timestamp | null;
  };
  ticket_action: {
    id: Generated<number>;
    ticket_id: number;
    incoming_email_id: number | null;
    outgoing_email_id: number | null;
    kind: string;
    private: Generated<boolean>;
    at: MadeAt;
  };
  service_status: { service: string; status: string | null; incoming_email_id: number; updated_at: MadeAt };
  api_client: {
    id: Generated<number>;
    client_id: string;
    name: string;
    secret_hash: string;
    scopes: string[];
    created_at: MadeAt;
    last_used_at: Timestamp | null;
    disabled_at: Timestamp | null;
  };
  secret: {
    owner: string;
    name: string;
    key_id: string;
    nonce: Buffer;
    ciphertext: Buffer;
    updated_at: MadeAt;
  };
  audit_log: {
    id: Generated<number>;
    at: MadeAt;
    actor: string;
    action: string;
    entity: string;
    entity_id: string;
    change: ColumnType<unknown, string | undefined, string>;
  };
  instance: { only_row: Generated<boolean>; id: Generated<string>; created_at: MadeAt };
  oauth_token: {
    credential: string;
    obtained_at: Timestamp | null;
    life_ms: number | null;
    refresh_expires_at: Timestamp | null;
    renewals: Generated<number>;
    failure_code: ErrorCode | null;
    failure_message: string | null;
    failure_reason: string | null;
    failure_terminal: boolean | null;
    failure_at: Timestamp | null;
    failure_wait_ms: number | null;
    failure_attempts: Generated<number>;
  };
  subscription: {
    id: Generated<number>;
    mailbox_id: number;
    folder: string;
    provider_id: string | null;
    resource: string | null;
    secret_sha256: Buffer | null;
    made_for: string | null;
    expires_at: Timestamp | null;
    renewed_at: Timestamp | null;
    history_id: string | null;
    need: 'renew' | 'recreate' | null;
    notified_at: Timestamp | null;
    failures: Generated<number>;
    error_code: ErrorCode | null;
    error_message: string | null;
    error_at: Timestamp | null;
    next_attempt_at: Timestamp | null;
  };
  email_store: {
    id: Generated<number>;
    mailbox_id: number;
    ticket_id: number | null;
    template_id: number | null;
    subject: Generated<string>;
    text: Generated<string>;
    html: string | null;
    recipients: Json<Recipients>;
    add_action: Generated<boolean>;
    halo: ColumnType<Record<string, unknown>, string | undefined, string>;
    digest: Buffer | null;
    created_by: Generated<string>;
    created_at: MadeAt;
    deleted_at: Timestamp | null;
  };
  outgoing_attachment: {
    id: Generated<number>;
    email_store_id: number;
    filename: string;
    content_type: string;
    content_id: string | null;
    bytes: Buffer;
    created_at: MadeAt;
  };
  outgoing_email: {
    id: Generated<number>;
    mailbox_id: number;
    email_store_id: number | null;
    incoming_email_id: number | null;
    ticket_id: number | null;
    kind: OutgoingKind;
    automatic_to: string | null;
    message_id: string;
    sent_message_id: string | null;
    provider_id: string | null;
    in_reply_to: string | null;
    sender: Json<Mailbox>;
    recipients: Json<Recipients>;
    subject: Generated<string>;
    text: Generated<string>;
    html: string | null;
    state: ColumnType<OutgoingState, OutgoingState | undefined, OutgoingState>;
    attempts: Generated<number>;
    next_attempt_at: MadeAt;
    claim_token: number | null;
    claimed_until: Timestamp | null;
    handover_at: Timestamp | null;
    delivered: Generated<string[]>;
    refused: ColumnType<RefusedRecipient[], string | undefined, string>;
    error_code: string | null;
    error_message: string | null;
    bounce: ColumnType<object | null, string | null | undefined, string | null>;
    bounced_at: Timestamp | null;
    change_seq: Generated<number>;
    created_at: MadeAt;
    sent_at: Timestamp | null;
    deleted_at: Timestamp | null;
  };
  outgoing_pause: {
    mailbox_id: number;
    paused_until: Timestamp;
    consecutive_errors: Generated<number>;
    error_code: string;
    error_message: string;
    since: MadeAt;
  };
  formatted_email: {
    id: Generated<number>;
    name: Generated<string>;
    use: 'labels' | 'template';
    labels: ColumnType<Record<string, string>, string | undefined, string>;
    template: ColumnType<Record<string, string>, string | undefined, string>;
    created_at: MadeAt;
    updated_at: MadeAt;
  };
  mailbox_credential: {
    id: Generated<number>;
    guid: Generated<string>;
    mailbox_id: number;
    sequence: number;
    name: string;
    settings: Json<CredentialSettings>;
    halo: ColumnType<Record<string, unknown>, string | undefined, string>;
    created_at: MadeAt;
    used_since: Timestamp | null;
    refused_code: ErrorCode | null;
    refused_message: string | null;
    refused_at: Timestamp | null;
  };
  sign_in: {
    link_sha256: Buffer;
    credential_id: number;
    actor: string;
    expires_at: Timestamp;
    done_at: Timestamp | null;
  };
  sign_in_attempt: {
    state_sha256: Buffer;
    link_sha256: Buffer;
    challenge: string;
    redirect_uri: string;
    expires_at: Timestamp;
  };
  destination: {
    id: Generated<number>;
    name: string;
    kind: DestinationKind;
    enabled: Generated<boolean>;
    settings: Json<DestinationSettings>;
    change_seq: Generated<number>;
    consecutive_failures: Generated<number>;
    open_until: Timestamp | null;
    last_delivered_at: Timestamp | null;
    last_error_code: string | null;
    last_error: string | null;
    last_error_at: Timestamp | null;
    disabled_reason: string | null;
    created_at: MadeAt;
    deleted_at: Timestamp | null;
  };
  delivery: {
    id: Generated<number>;
    message_id: Generated<string>;
    destination_id: number;
    event: EventType;
    stream: string;
    email_id: number;
    ledger_id: number;
    ticket_id: number | null;
    payload: Json<OutcomeEvent>;
    state: ColumnType<DeliveryState, DeliveryState | undefined, DeliveryState>;
    attempts: Generated<number>;
    replays: Generated<number>;
    created_at: MadeAt;
    first_attempt_at: Timestamp | null;
    next_attempt_at: MadeAt;
    claim_token: number | null;
    claimed_until: Timestamp | null;
    finished_at: Timestamp | null;
    reference: string | null;
    error_code: string | null;
    error: string | null;
  };
}
