/**
 * The waPC protocol as a guest sees it: every function here is imported from the module "wapc", which AssemblyScript
 * takes from the name of this file. Renaming the file renames the imports, and no host would know them any more.
 */

/** Asks the host to write the operation's name and the payload of the present call to these addresses. */
export declare function __guest_request(operation: usize, payload: usize): void;

/** Hands the answer to the host, which copies it at once. */
export declare function __guest_response(address: usize, length: usize): void;

/** Hands a sentence to the host that says why there is no answer. */
export declare function __guest_error(address: usize, length: usize): void;

/** One call to a capability; 1 when it was answered, 0 when it was refused. The guest sleeps meanwhile. */
export declare function __host_call(
  binding: usize,
  bindingLength: usize,
  namespace: usize,
  namespaceLength: usize,
  operation: usize,
  operationLength: usize,
  payload: usize,
  payloadLength: usize,
): i32;

/** Bytes of the answer to the last call to a capability. */
export declare function __host_response_len(): usize;

/** Asks the host to write that answer to this address. */
export declare function __host_response(address: usize): void;

/** Bytes of the reason why the last call to a capability was refused. */
export declare function __host_error_len(): usize;

/** Asks the host to write that reason to this address. */
export declare function __host_error(address: usize): void;

/** Writes one line of UTF-8 to the instance's log. */
export declare function __console_log(address: usize, length: usize): void;
