/**
 * Makes self-signed certificates (X.509 v3, RFC 5280) for lab servers, with any names and dates: so that TLS, and
 * every way in which a certificate can be wrong, works without files and without other programs.
 */
import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateOptions {
  /** DNS names and IP addresses; the first is the common name too. */
  names: string[];
  notBefore?: Date;
  notAfter?: Date;
  /** Elliptic by default: it is made much faster. */
  key?: 'ec' | 'rsa';
}

/** PEM texts. */
export interface Certificate {
  key: string;
  cert: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const OID_COMMON_NAME = [0x55, 0x04, 0x03];
const OID_SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11];
const OID_BASIC_CONSTRAINTS = [0x55, 0x1d, 0x13];
const OID_RSA_SHA256 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const NULL = Buffer.from([0x05, 0x00]);
const OID_ECDSA_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

export function makeCertificate(options: CertificateOptions): Certificate {
  const isRsa = options.key === 'rsa';
  const { privateKey, publicKey } = isRsa
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const name = sequence(
    tlv(0x31, sequence(oid(OID_COMMON_NAME), tlv(0x0c, Buffer.from(options.names[0] ?? 'localhost')))),
  );
  const algorithm = isRsa ? sequence(oid(OID_RSA_SHA256), NULL) : sequence(oid(OID_ECDSA_SHA256));
  const serial = randomBytes(16);
  // A serial number is positive and must not begin with superfluous zeros.
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const toBeSigned = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    name,
    sequence(
      time(options.notBefore ?? new Date(now - DAY_MS)),
      time(options.notAfter ?? new Date(now + 825 * DAY_MS)),
    ),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(extension(OID_BASIC_CONSTRAINTS, sequence(TRUE)), altNames(options.names))),
  );
  const signature = createSign('sha256').update(toBeSigned).sign(privateKey);
  const certificate = sequence(
    toBeSigned,
    algorithm,
    tlv(0x03, Buffer.concat([Buffer.from([0]), signature])),
  );
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem(certificate),
  };
}

function altNames(names: readonly string[]): Buffer {
  const entries = names.map((name) => {
    if (isIP(name) === 4) return tlv(0x87, Buffer.from(name.split('.').map(Number)));
    if (name === '::1') return tlv(0x87, Buffer.from([...Array<number>(15).fill(0), 1]));
    return tlv(0x82, Buffer.from(name));
  });
  return extension(OID_SUBJECT_ALT_NAME, sequence(...entries));
}

function extension(id: number[], value: Buffer): Buffer {
  return sequence(oid(id), tlv(0x04, value));
}

/** GeneralizedTime, which takes any year. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  // Up to 2049 the short form is required (RFC 5280 section 4.1.2.5).
  return date.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : tlv(0x18, Buffer.from(`${digits}Z`));
}

const oid = (bytes: number[]): Buffer => tlv(0x06, Buffer.from(bytes));
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, Buffer.concat(parts));

/** Tag, length, value (ITU-T X.690). */
function tlv(tag: number, value: Buffer): Buffer {
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(value.length);
  const length = size.subarray(size.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, value]);
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
