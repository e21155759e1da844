/**
 * Every maximum on input and stored data: lists, strings, bodies, pages, prompts, a model's answer, a tenant's
 * holdings. Code that reads input takes its maximum from here.
 *
 * Rule: a maximum is checked before the work that it bounds, and a check costs at most one pass over the input.
 * "Vendor" marks a figure of the official API (its OpenAPI description or its error texts); the others are chosen above
 * ordinary use. Characters are UTF-16 units, bytes are UTF-8.
 * Pure constants, imports nothing. Any room may import it; the workflow sandbox may too.
 */

/** Fields of requests. */
export const LIMITS = {
  /** Vendor: metadata of any object. */
  metadataPairs: 16,
  metadataKey: 64,
  metadataValue: 512,
  /** Vendor: one output, and all outputs of one submit. */
  outputChars: 1_048_576,
  combinedOutputBytes: 512_000,
  /** The default of how many calls a run may make in all. */
  toolOutputs: 512,
  /** Vendor (for an assistant; a run may replace all of them). */
  toolsOnRun: 128,
  functionName: 64,
  functionDescription: 32_768,
  /** All tools of one assistant or run together, as JSON: every event of a run repeats them. */
  toolsChars: 1_048_576,
  /** A JSON schema that responses must follow. */
  responseFormatChars: 262_144,
  /** Vendor. */
  instructions: 256_000,
  name: 256,
  description: 512,
  /** Vendor: all text of one message, whether it is a string or parts. */
  messageChars: 256_000,
  contentParts: 64,
  /** All image URLs of one message; a data URL holds the image itself. */
  imageUrlChars: 4_194_304,
  /** Vendor: messages of a new thread, additional messages of a run. */
  messagesInCreate: 512,
  model: 256,
  /** Currencies of a run's `max_cost`. */
  currencies: 8,
  /** Ids and the names of choices. */
  id: 256,
  reasonChars: 4_096,
  /** The sender's note in a decision; a name claimed beside a key's name is put in front of it. */
  noteChars: 2_048,
} as const;

/** JSON of a request. */
export const JSON_LIMITS = {
  /** Nesting of objects and arrays. */
  depth: 64,
  /** Objects, arrays, strings, numbers and literals in one body. A parsed value takes up to 64 bytes, however short its text. */
  values: 20_000,
} as const;

/**
 * Bytes of a request body, by its content. JSON may write any character as six bytes (`\u0041`), and clients that
 * escape all but ASCII do so.
 */
export const BODY_BYTES = {
  /** Metadata, or nothing. */
  small: 262_144,
  /** An assistant; the outputs of a round; an answer. */
  medium: 4_194_304,
  /** Messages. */
  large: 8_388_608,
  /** Bodies that one server process holds at a time, complete or not. */
  inFlight: 67_108_864,
} as const;

/** What a person reads of a thread beside a call. */
export const CONVERSATION_LIMITS = {
  messages: 20,
  /** Of one message. */
  characters: 4_000,
  /** Messages are read whole, so their sizes together are limited, too. */
  readBytes: 1_048_576,
} as const;

/** Pages and logs read from the store: when these are exceeded, fewer rows are returned, but at least one. */
export const READ_BYTES = {
  /** One page of a list. */
  page: 4_194_304,
  /** Events that one reader of a run's log holds at a time. */
  events: 262_144,
  /** Messages and rounds of a thread in a prompt. The oldest are left out. */
  prompt: 4_194_304,
} as const;

/** One answer of a model. An answer beyond a limit fails the run's turn for good: the model would repeat it. */
export const ANSWER_LIMITS = {
  /** All bytes of the response. */
  streamBytes: 134_217_728,
  /** Events of the stream, with the framing around the text. */
  streamChars: 33_554_432,
  events: 1_000_000,
  /** One event of the stream. */
  eventChars: 4_194_304,
  /** An answer that is not streamed. */
  bodyBytes: 4_194_304,
  /** Values in one event, or in all of an answer that is not streamed. */
  values: 20_000,
  /** Nesting of one event, or of an answer that is not streamed: as deep as arguments that are sent as objects. */
  depth: 100,
  /** Text, refusals and reasoning, as JSON writes them: a control character takes six characters. */
  textChars: 1_048_576,
  calls: 512,
  /**
   * Arguments of one call. History holds far less: such a call is refused, the model reads why, and the run goes on.
   */
  argumentsChars: 4_194_304,
  /** Arguments and names of all calls. */
  allArgumentsChars: 8_388_608,
} as const;

/** What one tenant may hold. Ordinary use stays below; a server may set other values. */
export const TENANT_DEFAULTS = {
  /** Event streams open in one server process. */
  streams: 500,
  /** Bytes of events that these streams hold unread. */
  unreadBytes: 33_554_432,
  /** What large answers hold that clients have not taken, in characters. */
  unreadAnswers: 67_108_864,
  /** Runs that have not ended. */
  liveRuns: 10_000,
  /** Assistants, threads, messages, runs and steps, each with 512 bytes for its row. */
  storedBytes: 10_737_418_240,
} as const;

/** Arguments of one tool call, as planning, tools, the workflow and all channels read them. */
export const ARGUMENT_LIMITS = {
  characters: 1_048_576,
  depth: 64,
  /** Longer arguments are shortened value by value where a person reads them. */
  shownChars: 8_000,
  /** Keys of a call that a person must approve: each has a line, even when its value is shortened. */
  shownKeys: 256,
  /** Hex digits that name the arguments of a call in a decision. */
  digestChars: 32,
  /** The JSON Schema of a tool in the plan of such a call, and all schemas of one settlement, which is one payload. */
  schemaChars: 8_192,
  schemasChars: 131_072,
} as const;

/** The votes about one call, which its workflow carries along. */
export const BALLOT_LIMITS = {
  /** All of them as JSON, with the arguments that they propose. */
  chars: 65_536,
  quorum: 32,
  handedOver: 32,
  /** Groups of a policy; people and groups to whom one vote is handed over. */
  names: 16,
  /** Comments about one call. */
  comments: 200,
} as const;

/** Messages of an MCP server. What exceeds a limit is left out, and the operator reads what and why. */
export const MCP_LIMITS = {
  /** Tools of one server; a run may declare as many in all. */
  tools: 128,
  /** Pages of its list. */
  pages: 16,
  /** Of one tool. A longer description is cut, a tool with a longer schema is left out. */
  descriptionChars: 4_096,
  schemaChars: 65_536,
  /** One message, or one answer over HTTP. Longer ones end the connection. */
  messageBytes: 33_554_432,
  /** Lines of a stdio server's stderr that are logged in a minute. */
  stderrLines: 60,
} as const;

/** How many offending values one error names. */
export const NAMED_OFFENDERS = 10;
