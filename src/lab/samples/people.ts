/** Who writes to the service desk. Everybody and everything here is invented; the domains are reserved names. */
import type { Random } from './random.ts';

export interface Person {
  name: string;
  address: string;
  /** Domain of the mail system that sends for this person. */
  host: string;
  utcOffsetMinutes: number;
}

/** The mailbox all samples are sent to. */
export const DESK: Person = person('Harbour Service Desk', 'support', 'desk.example.com', 0);

/** Has a rule of her own. */
export const VIP: Person = person('Eleanor Marsh', 'eleanor.marsh', 'brightwater.example', 0);

export const MONITORING: Person = person('Monitoring', 'monitoring', 'watch.example.net', 0);
export const PAGER: Person = person('Pager', 'incidents', 'pager.example.net', 0);
export const ON_CALL: Person = person('On-Call', 'alerts', 'oncall.example.net', 0);
export const CLOUD_STATUS: Person = person('Stratus Hosting Status', 'status', 'stratus.example.org', 0);
export const SUPPLIER: Person = person('Copperline Supplies', 'cases', 'copperline.example.org', 60);
export const BACKUP: Person = person('Backup Service', 'backup', 'vault.example.net', 0);
export const NEWS: Person = person('The Weekly Valve', 'newsletter', 'weeklyvalve.example.org', 0);
export const SHOP: Person = person('Larkfield Order Desk', 'orders', 'larkfield.example', 0);

/** The people who ask for help. */
export const CUSTOMERS: readonly Person[] = [
  person('Tom Ashdown', 'tom.ashdown', 'larkfield.example', 0),
  person('Priya Raman', 'priya.raman', 'larkfield.example', 0),
  person('Niamh Kearney', 'n.kearney', 'tallowandreed.example', 0),
  person('George Pell', 'george', 'tallowandreed.example', 0),
  person('Marta Nowak', 'marta.nowak', 'brightwater.example', 60),
  person('Sam Okafor', 'sam.okafor', 'brightwater.example', 60),
  person('Ingrid Solheim', 'ingrid.solheim', 'fjordline.example', 60),
  person('Lukas Brandt', 'l.brandt', 'hafenkontor.example', 60),
  person('Jörg Müller', 'joerg.mueller', 'hafenkontor.example', 60),
  person('Chloé Lefèvre', 'chloe.lefevre', 'ateliernord.example', 60),
  person('Rosa Iglesias', 'rosa.iglesias', 'olivar.example', 60),
  person('Dale Whitcomb', 'dwhitcomb', 'prairiefreight.example', -360),
  person('Keiko Tanabe', 'tanabe', 'minatoworks.example', 540),
  person('Arjun Mehta', 'arjun', 'monsoonlabs.example', 330),
  person('Olga Petrova', 'o.petrova', 'severnaya.example', 180),
  person('Wei Chen', 'wei.chen', 'jadebridge.example', 480),
];

export function person(name: string, user: string, host: string, utcOffsetMinutes: number): Person {
  return { name, address: `${user}@${host}`, host, utcOffsetMinutes };
}

export function firstName({ name }: Person): string {
  return name.split(' ')[0] ?? name;
}

/** Somebody else at the same company, or the same person when there is nobody. */
export function colleagueOf(of: Person, random: Random): Person {
  const others = CUSTOMERS.filter((other) => other.host === of.host && other.address !== of.address);
  return others.length === 0 ? of : random.pick(others);
}
