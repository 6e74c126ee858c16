// leat-client, as browsers and React Native import it. Node's entry is node.ts.
export type { BodySource } from './body.js';
export type { Client, ConnectionState, ConnectOptions, ServiceClient } from './client.js';
export { connect } from './client.js';
export type { Credential } from './credential.js';
export { isPairingLink } from './credential.js';
export type { Suite } from './crypto.js';
export { LeatError } from './errors.js';
export type { FetchInit } from './fetch.js';
export type { Kind, Service } from './messages.js';
export type { Way } from './ways.js';
