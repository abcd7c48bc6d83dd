import { phrases } from './phrases.ts';

/** The words that mail clients put around a quoted message, in the languages that the large clients ship. */

type HeaderKind = 'from' | 'date' | 'to' | 'subject';

const LABELS: Record<HeaderKind, string[]> = {
  from: phrases(`
    from | von | de | da | van | från | fra | od | от | kimden | gönderen | lähettäjä | feladó | de la |
    από | від | 发件人 | 寄件者 | 差出人 | 送信者 | 보낸 사람 | מאת | من
  `),
  date: phrases(`
    sent | date | gesendet | datum | envoyé | envoyé le | enviado | enviado el | enviada em | fecha |
    inviato | data | verzonden | skickat | sendt | dato | wysłano | odesláno | отправлено | дата |
    gönderildi | gönderilme tarihi | tarih | lähetetty | päivämäärä | elküldve | dátum | trimis |
    надіслано | 发送时间 | 日期 | 寄件日期 | 送信日時 | 日時 | 日付 | 보낸 날짜 | 날짜 | נשלח
  `),
  to: phrases(`
    to | an | à | para | a | aan | till | til | do | komu | кому | kime | alıcı | vastaanottaja |
    címzett | către | προς | 收件人 | 收件者 | 宛先 | 받는 사람 | אל
  `),
  subject: phrases(`
    subject | betreff | objet | asunto | assunto | oggetto | onderwerp | ämne | emne | temat | předmět |
    predmet | тема | konu | aihe | tárgy | subiect | θέμα | 主题 | 主旨 | 件名 | 제목 | נושא
  `),
};

const KINDS = new Map<string, Set<HeaderKind>>();
for (const kind of ['from', 'date', 'to', 'subject'] as const) {
  for (const label of LABELS[kind]) {
    const kinds = KINDS.get(label) ?? new Set();
    KINDS.set(label, kinds.add(kind));
  }
}

/** Longest label of a header block line, with marks around it. */
const MAX_LABEL = 40;

/** What a line such as `From: ...` or `*Gesendet:* ...` is a label for; null when it is none. */
export function headerKinds(line: string): Set<HeaderKind> | null {
  const start = line.slice(0, MAX_LABEL);
  let colon = start.indexOf(':');
  if (colon < 0) colon = start.indexOf('：');
  if (colon <= 0) return null;
  return KINDS.get(start.slice(0, colon).replaceAll('*', '').trim().toLowerCase()) ?? null;
}

/** The text between the dashes of `-----Original Message-----`. */
export const SEPARATORS = new Set(
  phrases(`
  original message | original appointment | forwarded message | reply message | forwarded by |
  ursprüngliche nachricht | originalnachricht | original-nachricht | weitergeleitete nachricht |
  message d'origine | message d’origine | message original | message transféré | courriel original |
  mensaje original | mensaje reenviado | messaggio originale | messaggio inoltrato | mensagem original |
  mensagem encaminhada | oorspronkelijk bericht | doorgestuurd bericht | ursprungligt meddelande |
  originalmeddelande | vidarebefordrat meddelande | oprindelig meddelelse | opprinnelig melding |
  videresendt melding | wiadomość oryginalna | treść oryginalnej wiadomości | původní zpráva |
  alkuperäinen viesti | исходное сообщение | пересылаемое сообщение | оригинальное сообщение | özgün ileti |
  orijinal mesaj | eredeti üzenet | mesaj original | αρχικό μήνυμα | 原始邮件 | 原始郵件 | 邮件原件 | 元のメッセージ | 원본 메시지 |
  원본 메일
`),
);

/** Lines that announce a forwarded or quoted message without dashes. */
export const ANNOUNCEMENTS = new Set(
  phrases(`
  begin forwarded message: | anfang der weitergeleiteten nachricht: | début du message réexpédié : |
  inicio del mensaje reenviado: | inizio messaggio inoltrato: | begin doorgestuurd bericht:
`),
);

/** What helpdesks print above the text that a reply must leave alone. */
export const REPLY_MARKERS = phrases(`
  reply above this line | type your reply above | write above this line | antworten sie oberhalb dieser |
  bitte antworten sie über dieser zeile | répondre au-dessus de cette ligne | responda por encima de esta
`);

/** First words of an attribution such as `On Monday Alice wrote:`. */
export const ATTRIBUTION_STARTS = phrases(`
  on | at | am | le | el | il | em | op | den | på | w dniu | dnia | dne | pe | a(z) | в | вт | пн | ср |
  чт | пт | сб | вс | on | le | στις | 在 | 於 | في
`);

/** Verbs of an attribution. */
export const ATTRIBUTION_VERBS = phrases(`
  wrote | writes | schrieb | a écrit | escribió | ha scritto | schreef | geschreven | escreveu | skrev |
  napisał | pisze | napsal | napísal | kirjoitti | написал | пишет | пише | писал | yazdı | şunu yazdı | írta |
  a scris | έγραψε | 写道 | 寫道 | 書きました | さんは書 | 님이 작성 | 작성: | כתב
`);
