// What can go wrong, in words for people.

/**
 * Why one gateway did not give what it was asked for.
 *
 * `forged`: its bytes do not match the CID. `refused`: it answered with a status that says no.
 * `malformed`: its answer is not the range or block that was asked for. `stalled`: it sent nothing for
 * too long. `unreachable`: no connection, or it does not let other sites' pages read it (CORS).
 * @typedef {'forged' | 'refused' | 'malformed' | 'stalled' | 'unreachable'} Fault
 */

/** One gateway's failure. */
export class GatewayError extends Error {
  /**
   * @param {string} gateway its name
   * @param {Fault} fault
   * @param {string} message what it did, to follow the gateway's name
   * @param {{ status?: number, retryAfter?: number }} [more] `retryAfter` in milliseconds
   */
  constructor(gateway, fault, message, { status, retryAfter } = {}) {
    super(`${gateway} ${message}`);
    this.name = 'GatewayError';
    this.gateway = gateway;
    this.fault = fault;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether asking the same gateway again makes no sense for a while. */
  get isFinal() {
    switch (this.fault) {
      case 'forged':
      case 'malformed':
        return true;
      case 'refused':
        return !TRANSIENT.has(this.status ?? 0) && !((this.status ?? 0) >= 520);
      default:
        return false;
    }
  }
}

/** Statuses after which the same request may succeed (RFC 9110, section 15; RFC 6585, section 4). */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/** No gateway gave the bytes. */
export class UnavailableError extends Error {
  /**
   * @param {string} what what was wanted
   * @param {GatewayError[]} problems one or more of each gateway
   */
  constructor(what, problems) {
    const last = new Map(problems.map((problem) => [problem.gateway, problem]));
    const said = [...last.values()].map((problem) => problem.message);
    super(`${what}: ${said.join('; ') || 'there is no gateway to ask'}`);
    this.name = 'UnavailableError';
    this.problems = [...last.values()];
  }

  /** Whether a gateway sent forged bytes. */
  get isForged() {
    return this.problems.some((problem) => problem.fault === 'forged');
  }

  /** Whether every gateway refused for good, rather than failed for now. */
  get isFinal() {
    return this.problems.length > 0 && this.problems.every((problem) => problem.isFinal);
  }
}

/** The archive is damaged, or has what this library does not read. */
export class ArchiveError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'ArchiveError';
  }
}

/** A CID that is malformed, or of a kind that cannot be verified here. */
export class CidError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'CidError';
  }
}
