// Names of languages.

/**
 * The English name of a language; empty if there is none.
 * @param {string | undefined} language as BCP 47 has it
 */
export function languageName(language) {
  if (!language || language === 'und') return '';
  try {
    return new Intl.DisplayNames(['en'], { type: 'language' }).of(language) ?? language;
  } catch {
    return language;
  }
}
