/** Whether `subject` matches `filter`, as a server decides it; both are taken to be valid. */
export function subjectMatches(filter: string, subject: string): boolean {
  const wanted = filter.split(".");
  const given = subject.split(".");
  for (const [index, part] of wanted.entries()) {
    if (part === ">") return given.length > index;
    if (index >= given.length || (part !== "*" && part !== given[index])) return false;
  }
  return wanted.length === given.length;
}
