/** Messages for the benches: text and HTML alternatives of about 6 KB, each different, the same at each run. */
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

export function smallMessage(index: number): Buffer {
  const next = random(index + 1);
  const text = prose(next, 2_000 + next() * 1_500);
  const html = prose(next, 2_000 + next() * 1_500).replaceAll('\r\n', '<br>\r\n');
  return Buffer.from(
    `Received: from mx.example.net (mx.example.net [192.0.2.7]) by mail.example.org with ESMTPS id ${index};\r\n` +
      ` Mon, 16 Nov 2026 10:00:00 +0000\r\n` +
      `Date: Mon, 16 Nov 2026 10:00:00 +0000\r\n` +
      `From: "Sender ${index % 500}" <sender${index % 500}@example.net>\r\n` +
      `To: help@example.org\r\n` +
      `Subject: ${WORDS[index % WORDS.length]} number ${index}\r\n` +
      `Message-ID: <${index}.bench@example.net>\r\n` +
      `MIME-Version: 1.0\r\n` +
      `Content-Type: multipart/alternative; boundary="b${index}"\r\n\r\n` +
      `--b${index}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}\r\n` +
      `--b${index}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n` +
      `<html><body><p>${html}</p></body></html>\r\n--b${index}--\r\n`,
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
