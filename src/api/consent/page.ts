/** The pages that a person sees who signs in for a mailbox: no script, nothing from elsewhere. */
import { createHash } from 'node:crypto';
import type { SignInOutcome } from '../../sign-in.ts';

export interface ConsentPage {
  status: number;
  title: string;
  /** Paragraphs, as text. */
  text: string[];
}

const STYLE =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}' +
  'h1{font-size:1.4rem}p{margin:.8rem 0;overflow-wrap:anywhere}' +
  '@media(prefers-color-scheme:dark){body{color:#eee;background:#1b1b1b}}';

/** Allows the style of the page by its digest, and nothing else. */
export const CONSENT_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256')
  .update(STYLE)
  .digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const AGAIN =
  'Nothing was changed. Ask your administrator for a new link, or open yours again while it lasts.';

/** What is shown of an outcome. Pure. */
export function pageOf(outcome: SignInOutcome): ConsentPage {
  switch (outcome.kind) {
    case 'done': {
      const { mailbox, remark } = outcome;
      const user = mailbox.settings.server.user;
      const untried =
        remark === null
          ? []
          : [`The mailbox could not be tried at the moment: ${remark}. It is tried again by itself.`];
      return {
        status: 200,
        title: 'You have signed in',
        text: [`Penstock may read the mailbox ${user} now. You can close this page.`, ...untried],
      };
    }
    case 'refused': {
      const { mailbox, error } = outcome;
      return {
        status: 400,
        title: 'The sign-in was refused',
        text: [
          `The provider did not let Penstock read ${mailbox.settings.server.user}: ${error.message}.`,
          error.hint,
          AGAIN,
        ],
      };
    }
    case 'wrong_account': {
      const { mailbox, error } = outcome;
      const user = mailbox.settings.server.user;
      return {
        status: 403,
        title: 'This account does not open the mailbox',
        text: [
          `The account that you signed in with may not read ${user}: ${error.message}.`,
          `Sign in as ${user}, or as somebody who may read it, and allow everything that is asked.`,
          AGAIN,
        ],
      };
    }
    case 'other_browser':
      return {
        status: 403,
        title: 'The sign-in began in another browser',
        text: ['Finish it in the browser in which you opened the link, with cookies allowed.', AGAIN],
      };
    case 'over':
      return {
        status: 410,
        title: 'This sign-in is over',
        text: [
          'It was finished already, or took longer than ten minutes, or was never begun.',
          'Nothing was changed by it. Ask your administrator for a new link.',
        ],
      };
  }
}

export function render({ title, text }: ConsentPage): string {
  const paragraphs = text.map((one) => `<p>${escapeHtml(one)}</p>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)} · Penstock</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${paragraphs}
</main>
</body>
</html>
`;
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
