/** A private Dovecot on free ports of the loopback address, with users and Maildirs on demand. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chown, mkdir, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, makeCertificate } from '../../src/lab/certificate.ts';
import { tempFolder } from './folder.ts';
import { freePort } from './port.ts';
import { type Running, startProgram } from './process.ts';

/** The POP3 ports answer only where dovecot-pop3d is installed and was asked for. */
export interface DovecotPorts {
  imap: number;
  imaps: number;
  pop3: number;
  pop3s: number;
}

export interface DovecotOptions {
  /** Serve POP3 too. */
  pop3?: boolean;
  /** How mail is kept. Only a Maildir can be delivered to from outside; the other takes mail by APPEND. */
  format?: 'maildir' | 'sdbox';
}

export interface DeliverOptions {
  /** Below INBOX, `/` between levels; INBOX when left out. */
  folder?: string;
  /** What IMAP reports as INTERNALDATE: Dovecot takes the file's time. */
  internalDate?: Date;
}

export class Dovecot {
  readonly ports: DovecotPorts;
  readonly certificate: Certificate;
  readonly #base: string;
  readonly #running: Running;
  readonly #owner: { uid: number; gid: number };
  #delivered = 0;

  constructor(parts: {
    ports: DovecotPorts;
    certificate: Certificate;
    base: string;
    running: Running;
    owner: { uid: number; gid: number };
  }) {
    this.ports = parts.ports;
    this.certificate = parts.certificate;
    this.#base = parts.base;
    this.#running = parts.running;
    this.#owner = parts.owner;
  }

  /**
   * Adds a user. Each has a file of its own, because Dovecot reads a file again only when its time has changed by
   * a second.
   */
  async addUser(name: string, password: string): Promise<void> {
    await writeFile(join(this.#base, 'users', name), `${name}:{PLAIN}${password}\n`);
  }

  /** Delivers one message the Maildir way: written to tmp/, then renamed into new/. */
  async deliver(user: string, message: Buffer | string, options: DeliverOptions = {}): Promise<void> {
    const maildir = await this.#maildir(user, options.folder ?? 'INBOX');
    await this.#write(maildir, message, options.internalDate ?? null);
  }

  /** Delivers `count` messages that `make` makes, in order. */
  async deliverMany(user: string, count: number, make: (index: number) => Buffer | string): Promise<void> {
    const maildir = await this.#maildir(user, 'INBOX');
    for (let index = 0; index < count; index += 1) await this.#write(maildir, make(index), null);
  }

  async stop(): Promise<void> {
    await this.#running.stop();
  }

  async #write(maildir: string, message: Buffer | string, date: Date | null): Promise<void> {
    this.#delivered += 1;
    // Names sort in the order of delivery: Dovecot gives UIDs in the order of the time in the name. The microseconds
    // jump about, as they do in real names: where they count up with the time, Dovecot's hash of names is the same for
    // many, and each look into a large folder takes half a second.
    const second = 1_700_000_000 + this.#delivered;
    const microsecond = (this.#delivered * 611_953) % 1_000_000;
    const name = `${second}.M${microsecond}P${process.pid}.test`;
    const temporary = join(maildir, 'tmp', name);
    await writeFile(temporary, message, { mode: 0o600 });
    await chown(temporary, this.#owner.uid, this.#owner.gid);
    if (date) await utimes(temporary, date, date);
    await rename(temporary, join(maildir, 'new', name));
  }

  async #maildir(user: string, folder: string): Promise<string> {
    const top = join(this.#base, 'mail', user, 'Maildir');
    const maildir = folder === 'INBOX' ? top : join(top, `.${folder.replaceAll('/', '.')}`);
    for (const path of [
      join(this.#base, 'mail', user),
      top,
      maildir,
      ...['tmp', 'new', 'cur'].map((part) => join(maildir, part)),
    ]) {
      await mkdir(path, { recursive: true });
      await chown(path, this.#owner.uid, this.#owner.gid);
    }
    return maildir;
  }
}

/** Starts Dovecot; it ends with the test file. Throws, and says what is missing, where it cannot run. */
export async function startDovecot({
  pop3 = false,
  format = 'maildir',
}: DovecotOptions = {}): Promise<Dovecot> {
  requireDovecot(pop3);
  const base = await tempFolder('dovecot');
  for (const part of ['run', 'mail', 'state', 'users']) await mkdir(join(base, part));
  const owner = { uid: idOf('-u', 'mail'), gid: idOf('-g', 'mail') };
  await chown(join(base, 'mail'), owner.uid, owner.gid);
  const certificate = makeCertificate({ names: ['localhost', '127.0.0.1'] });
  await writeFile(join(base, 'cert.pem'), certificate.cert);
  await writeFile(join(base, 'key.pem'), certificate.key, { mode: 0o600 });
  const ports = {
    imap: await freePort(),
    imaps: await freePort(),
    pop3: await freePort(),
    pop3s: await freePort(),
  };
  const file = join(base, 'dovecot.conf');
  await writeFile(file, configuration(base, ports, pop3, format));
  const running = startProgram('/usr/sbin/dovecot', ['-F', '-c', file]);
  await running.waitForLine(/starting up/);
  return new Dovecot({ ports, certificate, base, running, owner });
}

function requireDovecot(pop3: boolean): void {
  if (process.getuid?.() !== 0) {
    throw new Error('The Dovecot tests must run as root: Dovecot starts its processes as other users');
  }
  const needed = ['/usr/sbin/dovecot', '/usr/lib/dovecot/imap', ...(pop3 ? ['/usr/lib/dovecot/pop3'] : [])];
  for (const program of needed) {
    try {
      accessSync(program, constants.X_OK);
    } catch {
      throw new Error(`${program} is missing: apt-get install dovecot-imapd${pop3 ? ' dovecot-pop3d' : ''}`);
    }
  }
}

function idOf(option: '-u' | '-g', user: string): number {
  return Number(execFileSync('id', [option, user], { encoding: 'utf8' }));
}

function configuration(base: string, ports: DovecotPorts, pop3: boolean, format: string): string {
  return `
base_dir = ${base}/run
state_dir = ${base}/state
log_path = /dev/stderr
protocols = imap${pop3 ? ' pop3' : ''}
listen = 127.0.0.1
instance_name = penstock-test-${process.pid}

default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_location = ${format === 'maildir' ? 'maildir:~/Maildir' : 'sdbox:~/dbox'}
mail_fsync = never
mail_home = ${base}/mail/%u
mail_max_userip_connections = 200

disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 0
# A wrong password is answered at once: tests of it should not take seconds.
auth_failure_delay = 0 secs
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}

passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${base}/users/%u
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${base}/mail/%u
}

ssl = yes
ssl_cert = <${base}/cert.pem
ssl_key = <${base}/key.pem

service imap-login {
  inet_listener imap {
    port = ${ports.imap}
  }
  inet_listener imaps {
    port = ${ports.imaps}
    ssl = yes
  }
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Trash {
    special_use = \\Trash
    auto = subscribe
  }
}

${pop3 ? pop3Configuration(ports) : ''}`;
}

function pop3Configuration(ports: DovecotPorts): string {
  return `
service pop3-login {
  inet_listener pop3 {
    port = ${ports.pop3}
  }
  inet_listener pop3s {
    port = ${ports.pop3s}
    ssl = yes
  }
}

protocol pop3 {
  pop3_uidl_format = %08Xu%08Xv
  pop3_no_flag_updates = yes
}
`;
}
