/** Whether a statement failed because of the database's state, or because of what was asked. */
import pg from 'pg';

/**
 * Classes of SQLSTATE that say nothing about what was asked: no connection, transaction ended (it was idle for too
 * long), rolled back in favour of another, no resources, not in the right state, ended by an operator, error of the
 * system (PostgreSQL documentation, Appendix A).
 */
const STATE_CLASSES = new Set(['08', '25', '40', '53', '55', '57', '58']);
/** What the driver says, in plain errors, when it has no connection. */
const NO_CONNECTION =
  /^Connection terminated|timeout exceeded when trying to connect|not queryable|encountered a connection error/;

/** True when the same may succeed later although nobody changes anything. */
export function isOutage(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return STATE_CLASSES.has(error.code?.slice(0, 2) ?? '');
  if (!(error instanceof Error)) return false;
  return 'syscall' in error || NO_CONNECTION.test(error.message);
}
