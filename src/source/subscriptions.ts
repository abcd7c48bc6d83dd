/**
 * Being told of new mail instead of asking: what a provider that can tell is asked for. What it tells only ever wakes a
 * poller, so nothing here is needed for mail to be taken.
 */

/** What is to be told, and where. */
export interface SubscriptionWish {
  /** Folders by the names that the mailbox's settings give them. */
  folders: readonly string[];
  /** Graph: the https URL that is called, already during the call that subscribes. Gmail: a Pub/Sub topic. */
  address: string;
}

/** A subscription as the provider made it. */
export interface Subscription {
  /** Its id at the provider. */
  id: string;
  /** What it is about: Graph's resource path, or the address of the Gmail account. */
  resource: string;
  expiresAt: Date;
  /** SHA-256 of the secret that Graph's notifications will carry; null for Gmail's, which are signed instead. */
  secretSha256: Buffer | null;
  /** Gmail: where the mailbox's history stood. */
  historyId: string | null;
}

export type RenewedSubscription = Omit<Subscription, 'secretSha256'>;

/**
 * The subscriptions of one mailbox. Each call ends with an error of ours, also when `signal` ends it; `push_refused` says
 * that the provider does not get through to the address.
 */
export interface Subscriptions {
  make(wish: SubscriptionWish, signal: AbortSignal): Promise<Subscription>;
  /** Null when the subscription is gone: make another one then. Its secret stays as it was. */
  renew(id: string, wish: SubscriptionWish, signal: AbortSignal): Promise<RenewedSubscription | null>;
  /**
   * Removes what an attempt may have left whose answer never came: all subscriptions to the same mail at the same address.
   * Where a provider keeps one for each account there is nothing to do.
   */
  removeStrays(wish: SubscriptionWish, signal: AbortSignal): Promise<void>;
  /** One that is gone already is no error. */
  remove(id: string, signal: AbortSignal): Promise<void>;
}
