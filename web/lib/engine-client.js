// The page's side of the engine.

/** @typedef {import('./engine.js').Methods} Methods */

/**
 * What the engine tells by itself: `progress` of an index that comes, `traffic` that there is some,
 * `trouble` that a view failed.
 * @typedef {{ event: 'progress', location: string, done: number, all: number }
 *   | { event: 'traffic', location: string }
 *   | { event: 'trouble', location: string, path: string, message: string, isForged: boolean }} EngineEvent
 */

/** An error of the engine, in words for people. */
export class EngineError extends Error {
  /** @param {{ message: string, isForged: boolean }} said */
  constructor({ message, isForged }) {
    super(message);
    this.name = 'EngineError';
    this.isForged = isForged;
  }
}

export class Engine {
  #worker;
  #next = 0;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: unknown) => void }>} */
  #waiting = new Map();

  /**
   * @param {string | URL} script the URL of engine.js
   * @param {(event: EngineEvent) => void} onEvent
   */
  constructor(script, onEvent = () => {}) {
    this.#worker = new Worker(script, { type: 'module' });
    this.#worker.onmessage = ({ data }) => {
      if (data.event) {
        onEvent(data);
        return;
      }
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) waiting?.reject(new EngineError(data.error));
      else waiting?.resolve(data.result);
    };
    this.#worker.onerror = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the engine cannot be loaded'));
      this.#waiting.clear();
    };
  }

  /**
   * @template {keyof Methods} Name
   * @param {Name} method
   * @param {Parameters<Methods[Name]>} args
   * @returns {Promise<Awaited<ReturnType<Methods[Name]>>>}
   */
  call(method, ...args) {
    this.#next += 1;
    const id = this.#next;
    this.#worker.postMessage({ id, method, args });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /**
   * Gives a request of the service worker to the engine; for `startViews`.
   * @param {import('./view-protocol.js').ViewRequest} request
   * @param {MessagePort} port
   */
  answer(request, port) {
    this.#worker.postMessage({ request }, [port]);
  }
}
