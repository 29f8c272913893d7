/** Runs what concerns one thing one after the other, in the order of the calls. */
export type InTurn = <Result>(id: string, act: () => Promise<Result>) => Promise<Result>;

/** Turns by id: two changes of one instance or provider at once would lose one of them. */
export function createTurns(): InTurn {
  const last = new Map<string, Promise<void>>();
  return (id, act) => {
    const turn = (last.get(id) ?? Promise.resolve()).then(act);
    const quiet = turn
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (last.get(id) === quiet) last.delete(id);
      });
    last.set(id, quiet);
    return turn;
  };
}
