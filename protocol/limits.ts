/**
 * Every maximum of this project that a stranger could otherwise choose: lists, strings, bodies, pages, prompts, a model's
 * answer, what one tenant may hold. Whoever reads input takes its maximum from here.
 *
 * Rule: a maximum is checked before the work that it bounds, and a check costs no more than one pass over what was sent.
 * "Vendor" marks a figure of the official API (its OpenAPI description, or its own error texts); all others are chosen so
 * that ordinary use does not meet them. Characters are UTF-16 units, bytes are UTF-8.
 * Pure constants, imports nothing. Anybody may import it; the workflow sandbox may too.
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
  /** As many calls as a run may make in all by default. */
  toolOutputs: 512,
  /** Vendor (for an assistant; a run may replace all of them). */
  toolsOnRun: 128,
  functionName: 64,
  functionDescription: 32_768,
  /** All tools of one assistant or run together, as JSON: each event of a run repeats them. */
  toolsChars: 1_048_576,
  /** A JSON schema that answers must follow. */
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
  /** Ids and the names of choices. */
  id: 256,
  reasonChars: 4_096,
  /** Of the sender of a decision; a name that was sent beside a key's goes in front of it. */
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
 * Bytes of a request's body, by what it may have to carry. JSON may write any character as six bytes (`\u0041`), and clients
 * that escape everything but ASCII do.
 */
export const BODY_BYTES = {
  /** Metadata, or nothing. */
  small: 262_144,
  /** An assistant; the outputs of a round; an answer. */
  medium: 4_194_304,
  /** Messages. */
  large: 8_388_608,
  /** Bodies that one server process holds at the same time, complete or not. */
  inFlight: 67_108_864,
} as const;

/** Pages and logs, as they are read from the store: fewer rows come when these would be exceeded, but at least one. */
export const READ_BYTES = {
  /** One page of a list. */
  page: 4_194_304,
  /** Events that one reader of a run's log holds at a time. */
  events: 262_144,
  /** Messages and rounds of a thread that a model is given to read. The oldest are left out. */
  prompt: 4_194_304,
} as const;

/** One answer of a model. What exceeds one of these ends the attempt for good: asked again, the model would do it again. */
export const ANSWER_LIMITS = {
  /** All that comes from the socket. */
  streamBytes: 134_217_728,
  /** Events as they come in the stream, with what the protocol puts around the text. */
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
  /** What is said, refusals and reasoning included, as it is written in JSON: a control character takes six. */
  textChars: 1_048_576,
  calls: 512,
  /** Arguments of one call. Far less is what history holds: such a call is refused to the model, and the run goes on. */
  argumentsChars: 4_194_304,
  /** Arguments and names of all calls. */
  allArgumentsChars: 8_388_608,
} as const;

/** What one tenant may hold. A team of people does not meet them; a server may set its own. */
export const TENANT_DEFAULTS = {
  /** Event streams open at one server process. */
  streams: 500,
  /** What these streams hold of events that their readers have not taken, in bytes. */
  unreadBytes: 33_554_432,
  /** Runs that have not ended. */
  liveRuns: 10_000,
  /** Assistants, threads, messages, runs and steps, each with 512 bytes for its row. */
  storedBytes: 10_737_418_240,
} as const;

/** Arguments of one tool call, as planning, tool, workflow and doors read them. */
export const ARGUMENT_LIMITS = {
  characters: 1_048_576,
  depth: 64,
  /** What takes more is shortened value by value where a person reads it. */
  shownChars: 8_000,
  /** Keys of a call that a person must approve: each gets a line, whatever else is shortened. */
  shownKeys: 256,
  /** Hex digits that name the arguments of a call in a decision. */
  digestChars: 32,
  /** A tool's JSON Schema in the plan of such a call, and all of them in one settlement, which is one payload. */
  schemaChars: 8_192,
  schemasChars: 131_072,
} as const;

/** Offenders that one error names. */
export const NAMED_OFFENDERS = 10;
