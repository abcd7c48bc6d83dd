/** Mail in the charsets that are still about, in body and header. */
import { type Encoding, encodedWords, textEntity } from './compose.ts';
import { CUSTOMERS, type Person } from './people.ts';
import { FROM_A_PERSON } from './requests.ts';
import type { Sample, SampleWriter } from './sample.ts';

interface Language {
  charset: string;
  encodings: readonly Encoding[];
  author: string;
  subject: string;
  body: string;
}

const LANGUAGES: readonly Language[] = [
  {
    charset: 'iso-8859-1',
    encodings: ['quoted-printable', '8bit'],
    author: 'joerg.mueller@hafenkontor.example',
    subject: 'Drucker im Büro möchte nicht',
    body: 'Guten Tag,\n\nder Drucker im dritten Stock zieht kein Papier mehr ein. Größe A4, Fach 2.\n\nViele Grüße\nJörg Müller\n',
  },
  {
    charset: 'windows-1252',
    encodings: ['quoted-printable', '8bit', 'base64'],
    author: 'chloe.lefevre@ateliernord.example',
    subject: 'Accès refusé à l\u2019intranet \u2013 code 5',
    body: 'Bonjour,\n\ndepuis ce matin l\u2019accès m\u2019est refusé\u2026 Le devis s\u2019élève à 1\u00a0200\u00a0\u20ac, c\u2019est urgent.\n\nMerci d\u2019avance\nChloé\n',
  },
  {
    charset: 'iso-2022-jp',
    encodings: ['7bit'],
    author: 'tanabe@minatoworks.example',
    subject: 'ネットワークが遅い件について',
    body: 'お世話になっております。\n\n今朝からファイルサーバーがとても遅いです。ご確認をお願いします。\n\n田辺\n',
  },
  {
    charset: 'koi8-r',
    encodings: ['8bit', 'base64'],
    author: 'o.petrova@severnaya.example',
    subject: 'Не открывается отчёт за март',
    body: 'Здравствуйте!\n\nПри открытии отчёта программа закрывается. Номер ошибки 1407.\n\nС уважением,\nОльга Петрова\n',
  },
  {
    charset: 'gb18030',
    encodings: ['base64', '8bit'],
    author: 'wei.chen@jadebridge.example',
    subject: '无法登录库存系统',
    body: '您好：\n\n今天早上开始无法登录库存系统，提示密码错误。请尽快处理，谢谢！\n\n陈伟\n',
  },
  {
    charset: 'utf-8',
    encodings: ['8bit', 'base64'],
    author: 'rosa.iglesias@olivar.example',
    subject: '¿Pueden revisar la báscula n.º 3? 🙏',
    body: 'Buenos días:\n\nla báscula número 3 no envía el peso al sistema desde ayer. ¡Gracias! 🫒\n\nRosa\n',
  },
];

/** A body in one of the charsets; 8-bit where that is how it is usually sent. */
export function charset(writer: SampleWriter): Sample {
  const { random } = writer;
  const language = random.pick(LANGUAGES);
  return writer.write({
    kind: 'charset',
    from: authorOf(language),
    subject: language.subject,
    subjectHeader: encodedWords(language.subject, language.charset, 'B'),
    entity: textEntity(language.body, {
      charset: language.charset,
      encoding: random.pick(language.encodings),
    }),
    expect: FROM_A_PERSON,
  });
}

/** A long subject in several encoded words (RFC 2047), B or Q, over a plain body. */
export function encodedSubject(writer: SampleWriter): Sample {
  const { random } = writer;
  const language = random.pick(LANGUAGES);
  const subject = `${language.subject} (${language.subject}, ${random.between(1, 99)})`;
  // Only B carries the escapes of ISO-2022-JP in a form that mail readers expect.
  const form = language.charset === 'iso-2022-jp' ? 'B' : random.pick(['B', 'Q'] as const);
  return writer.write({
    kind: 'encoded-subject',
    from: authorOf(language),
    subject,
    subjectHeader: encodedWords(subject, language.charset, form),
    entity: textEntity('See the subject, please.\n'),
    expect: FROM_A_PERSON,
  });
}

function authorOf({ author }: Language): Person {
  const found = CUSTOMERS.find(({ address }) => address === author);
  if (!found) throw new Error(`No customer ${author}`);
  return found;
}
