import { answerQuestions } from "../program.ts";
import { createBroker } from "./moleculer-broker.mjs";

const broker = createBroker(process.argv[2], "responder");
broker.createService({ name: "peer", actions: { echo: (context) => context.params.text } });
await broker.start();
answerQuestions(() => Promise.resolve());
