import { type Config, SETTINGS } from '../../src/config/settings.ts';

/** Defaults of the settings below `mail`. */
export function defaultMail(): Config['mail'] {
  const own = SETTINGS.filter(({ path }) => path.startsWith('mail.'));
  return Object.fromEntries(
    own.map((setting) => [setting.path.slice('mail.'.length), setting.default]),
  ) as unknown as Config['mail'];
}
