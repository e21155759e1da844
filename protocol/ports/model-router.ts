/**
 * The port by which the chat backend finds out who answers a turn: models in order, each with its provider's adapter, and
 * leave to ask within the provider's limits.
 *
 * Rule: a route is decided anew for each turn from the configuration alone; which of its models answers is decided by the
 * backend. Waiting for a limit is no failure: it ends with leave, or when its signal aborts.
 * Imports shapes of models only. `backends/models/` implements it; `backends/chat/` and tests import it.
 */
import type { ResolvedModel } from '../models.ts';
import type { LearnedOfServer, Model, ModelError } from './model.ts';

/** A model that may answer a turn. */
export interface ModelCandidate extends ResolvedModel {
  adapter: Model;
}

/** Leave to send one request to a provider. */
export interface Admission {
  /** How long it was waited for, in milliseconds. */
  waitedMs: number;
  /** The request has ended. `tokens`: what prompt and answer took; null = not known. Never throws; idempotent. */
  release(tokens: number | null): void;
}

export interface ModelRouter {
  /**
   * The models for a run that asks for `name`, the one to ask first in front; never empty.
   * Throws `ModelError` `rejected` when the tenant may not use the name, or it stands for no model.
   */
  route(name: string, tenant: string): readonly ModelCandidate[];
  /**
   * Waits until the provider may be asked. `tokens`: an estimate of the prompt. Rejects with `signal.reason`, or with a `ModelError`
   * that costs nothing while the model is left alone after a refusal.
   */
  admit(candidate: ModelCandidate, request: { tokens: number; signal: AbortSignal }): Promise<Admission>;
  /**
   * How an admitted request ended, so that other turns and workers know. `error`: null = with an answer. True = the model is left
   * alone from now on. Never throws.
   */
  ended(candidate: ModelCandidate, error: ModelError | null): Promise<boolean>;
  /** What this process has learned, by server. */
  learned(): LearnedOfServer[];
  /** Asks every provider cheaply. Throws what is wrong with the first that has a problem. */
  probe(signal: AbortSignal): Promise<{ detail: string }>;
  dispose(): Promise<void>;
}
