/** A promise that the test settles: the order of events is the test's to decide. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: Error): void;
}

export const deferred = <T = void>(): Deferred<T> => {
  const made: Partial<Deferred<T>> = {};
  const promise = new Promise<T>((resolve, reject) => {
    made.resolve = resolve;
    made.reject = reject;
  });
  return {
    promise,
    resolve: (value) => made.resolve?.(value),
    reject: (reason) => made.reject?.(reason),
  };
};
