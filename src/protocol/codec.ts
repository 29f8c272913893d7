import { Packr, Unpackr } from "msgpackr/pack";
import { checkEncodable } from "./codec-encodable.ts";
import { decodeJson } from "./codec-json.ts";
import { checkMsgpack, refuse } from "./codec-msgpack.ts";
