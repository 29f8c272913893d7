/** A small web service: each request is one call of this guest, and it needs nothing but a route that leads to it. */
import { HttpRequest, HttpResponse, serve } from "../guest-sdk/assemblyscript/http";

export { __guest_call } from "../guest-sdk/assemblyscript/guest";

export function wapc_init(): void {
  serve(respond);
}

function respond(request: HttpRequest): HttpResponse {
  if (request.path === "/hello") return hello(request);
  if (request.path === "/echo") return echo(request);
  return new HttpResponse(404).text("there is /hello and /echo\n");
}

/** `GET /hello?name=Ada` */
function hello(request: HttpRequest): HttpResponse {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new HttpResponse(405).header("allow", "GET, HEAD").text("GET it\n");
  }
  const name = request.query.startsWith("name=") ? request.query.substring(5) : "world";
  return new HttpResponse(200).text("Hello, " + name + "!\n");
}

/** `POST /echo` answers the body as it came. */
function echo(request: HttpRequest): HttpResponse {
  const type = request.header("content-type");
  return new HttpResponse(200).body(type === null ? "application/octet-stream" : type, request.body);
}
