/** Texts of requests, so that samples read like mail to a service desk. */
import { firstName, type Person } from './people.ts';
import type { Random } from './random.ts';

export interface Request {
  subject: string;
  body: string;
}

type Topic = (random: Random) => Request;

const room = (random: Random): string =>
  `${random.pick(['B', 'C', 'N'])}${random.between(1, 4)}.${random.between(10, 28)}`;
const machine = (random: Random): string =>
  `${random.pick(['LT', 'PC', 'WS'])}-${random.between(1000, 9999)}`;

const TOPICS: readonly Topic[] = [
  (random) => ({
    subject: `Printer in room ${room(random)} jams on every second page`,
    body: 'I have opened all three trays and found nothing. It began after the toner was changed yesterday.',
  }),
  (random) => ({
    subject: `VPN drops every ${random.between(5, 40)} minutes`,
    body: `It happens on ${machine(random)} at home, on cable and on Wi-Fi. In the office all is well.`,
  }),
  (random) => ({
    subject: `New starter on ${random.pick(['Monday', 'Wednesday', 'the 1st', 'the 15th'])}: account and laptop`,
    body: 'She joins the planning team and needs mail, the shared drive and the stock system. Same rights as Tom.',
  }),
  (random) => ({
    subject: `Spreadsheet takes ${random.between(2, 9)} minutes to open`,
    body: 'It is the quarterly forecast on the shared drive. Other files are quick. Could somebody have a look?',
  }),
  (random) => ({
    subject: `Password reset for the stock system (user ${random.hex(4)})`,
    body: 'I am locked out after the holidays and need to book deliveries before noon. My phone is on.',
  }),
  (random) => ({
    subject: `Phone ${random.between(200, 480)} rings once, then goes to voicemail`,
    body: 'Forwarding is off. I tried another handset and it is the same, so it does not seem to be the phone.',
  }),
  (random) => ({
    subject: `Screen of ${machine(random)} flickers when docked`,
    body: 'Only on the left monitor, and only on the new dock. A swapped cable did not help.',
  }),
  () => ({
    subject: 'Please add me to the finance mailing group',
    body: 'My manager has agreed. I also need to see the archive of the last three months, if there is one.',
  }),
  (random) => ({
    subject: `Card reader at gate ${random.between(1, 6)} does not take new badges`,
    body: 'Old badges work, those made this week do not. The light turns red at once.',
  }),
  () => ({
    subject: 'Calendar invitations arrive an hour late',
    body: 'Or rather: they show an hour later than they were sent for. Since the clocks changed, I think.',
  }),
  (random) => ({
    subject: `Can we get ${random.between(2, 12)} more licences for the drawing program?`,
    body: 'We have two interns and a contractor from next month until summer. A quote is enough for now.',
  }),
  (random) => ({
    subject: `Meeting room ${room(random)}: no sound from the far end`,
    body: 'They hear us, we do not hear them. We have an important call at three. Thank you for hurrying.',
  }),
];

const OPENINGS = ['Hello,', 'Hi,', 'Good morning,', 'Dear team,', 'Hello all,'] as const;
const CLOSINGS = ['Thanks', 'Kind regards', 'Best', 'Many thanks', 'Cheers'] as const;

const FOLLOW_UPS: readonly string[] = [
  'Thank you, that worked until this morning. Now it is back.',
  'It is still the same after a restart. What else can I try?',
  'Yes, Tuesday after two o\u2019clock suits me.',
  'The serial number is on the picture that I sent. Do you need anything else?',
  'Please go ahead, I am at my desk all day.',
  'Any news? My colleagues have the same since yesterday.',
  'All good now. You can close this, thank you!',
  'It happens on the second machine as well, so I think it is not the hardware.',
];

export function someRequest(random: Random): Request {
  return random.pick(TOPICS)(random);
}

export function someFollowUp(random: Random): string {
  return random.pick(FOLLOW_UPS);
}

/** A request as a letter, with greeting and name. */
export function letter(body: string, from: Person, random: Random): string {
  return `${random.pick(OPENINGS)}\n\n${body}\n\n${random.pick(CLOSINGS)}\n${firstName(from)}\n`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function paragraphs(text: string): string {
  return text
    .trim()
    .split('\n\n')
    .map((paragraph) => `<p>${escapeHtml(paragraph).replaceAll('\n', '<br>')}</p>`)
    .join('\n');
}
