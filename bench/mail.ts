/** Messages for the benches: each different, the same at each run. */
const WORDS =
  'server printer invoice password network account ticket request update backup monitor router license contract delivery meeting payment customer report access'.split(
    ' ',
  );

/** A small generator with a seed, so that every run sees the same mail. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function prose(next: () => number, bytes: number): string {
  let text = '';
  let line = 0;
  while (text.length < bytes) {
    const word = WORDS[Math.floor(next() * WORDS.length)]!;
    text += word;
    line += word.length + 1;
    if (line > 70) {
      text += '\r\n';
      line = 0;
    } else text += ' ';
  }
  return text;
}

/**
 * About 6 KB as such mail comes in: 2 KB of header fields that servers added, and text and HTML in
 * quoted-printable with some letters beyond ASCII.
 */
export function smallMessage(index: number): Buffer {
  const next = random(index + 1);
  const token = (length: number): string =>
    Array.from({ length }, () => Math.floor(next() * 36).toString(36)).join('');
  const text = prose(next, 1_200 + next() * 900);
  const html = prose(next, 1_700 + next() * 1_400).replaceAll('\r\n', '<br>\r\n');
  const hop = (from: string, by: string): string =>
    `Received: from ${from} (${from} [192.0.2.${index % 250}])\r\n\tby ${by} (Postfix) with ESMTPS id ${token(10)}\r\n` +
    `\tfor <help@example.org>; Mon, 16 Nov 2026 10:00:00 +0000 (UTC)\r\n`;
  return Buffer.from(
    `Return-Path: <sender${index % 500}@example.net>\r\nDelivered-To: help@example.org\r\n` +
      hop('mx.example.net', 'mail.example.org') +
      hop('out.example.net', 'mx.example.net') +
      hop('desk.example.net', 'out.example.net') +
      `Authentication-Results: mail.example.org; dkim=pass header.d=example.net header.s=s1; spf=pass\r\n` +
      `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1; t=1794823200;\r\n` +
      `\th=date:from:to:subject:message-id:mime-version:content-type; bh=${token(44)};\r\n` +
      [1, 2, 3, 4, 5].map(() => `\t${token(68)}`).join('\r\n') +
      `\r\nDate: Mon, 16 Nov 2026 10:00:00 +0000\r\n` +
      `From: =?utf-8?Q?S=C3=A9nder_${index % 500}?= <sender${index % 500}@example.net>\r\n` +
      `To: Help Desk <help@example.org>\r\n` +
      `Subject: ${WORDS[index % WORDS.length]} number ${index}\r\n` +
      `Message-ID: <${index}.bench@example.net>\r\n` +
      `X-Mailer: Example Mailer 12.4\r\nThread-Topic: ${WORDS[index % WORDS.length]}\r\n` +
      `MIME-Version: 1.0\r\n` +
      `Content-Type: multipart/alternative; boundary="b${index}"\r\n\r\n` +
      `--b${index}\r\nContent-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n` +
      `Gr=C3=BC=C3=9Fe,\r\n\r\n${text}\r\n` +
      `--b${index}\r\nContent-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n` +
      `<html><head><style>p { margin: 0 }</style></head><body class=3D"m"><p>Gr=C3=BC=C3=9Fe,</p>\r\n<p>${html}</p></body></html>\r\n` +
      `--b${index}--\r\n`,
  );
}

/** A message with one attachment of about `bytes` bytes. */
export function largeMessage(index: number, bytes: number): Buffer {
  const next = random(index + 77);
  const attachment = Buffer.alloc(Math.floor((bytes * 3) / 4.11));
  for (let at = 0; at + 4 <= attachment.length; at += 4)
    attachment.writeUInt32LE(Math.floor(next() * 2 ** 32), at);
  const body = attachment.toString('base64').replace(/.{76}/g, '$&\r\n');
  return Buffer.from(
    `From: sender@example.net\r\nTo: help@example.org\r\nSubject: large ${index}\r\n` +
      `Message-ID: <${index}.large@example.net>\r\nMIME-Version: 1.0\r\n` +
      `Content-Type: multipart/mixed; boundary=large\r\n\r\n` +
      `--large\r\nContent-Type: text/plain\r\n\r\nSee the attachment.\r\n` +
      `--large\r\nContent-Type: application/octet-stream; name=data.bin\r\n` +
      `Content-Disposition: attachment; filename=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n${body}\r\n--large--\r\n`,
  );
}

/** A rule of the kind that service desks have, in Halo's field names. One in ten matches some of the mail. */
export function benchRule(index: number): Record<string, unknown> {
  const word = WORDS[index % WORDS.length]!;
  return {
    name: `Rule ${String(index).padStart(5, '0')}`,
    type: 1,
    enabled: true,
    seq: 1_000_000 - index,
    subject: index % 10 === 0 ? `${word} number ${index}` : `no such subject ${index}`,
    body: index % 3 === 0 ? `no such text ${index}` : '',
    fromaddr: index % 7 === 0 ? `nobody${index}@example.com` : '',
    starttag: `${word} `,
    endtag: ' ',
  };
}
