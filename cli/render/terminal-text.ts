/**
 * What somebody else wrote, for a terminal: whatever would move its cursor, colour it, or turn or hide text is shown as
 * its number instead. Tabs stay, and the characters of `kept`.
 */
export function onTerminal(text: string, kept = ""): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\t" || kept.includes(character)
      ? character
      : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
