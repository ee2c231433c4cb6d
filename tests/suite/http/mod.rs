//! Content from servers: one or many of them, their faults, secrets, proxies and TLS. And the contract of every
//! source.

mod connections;
mod early;
mod gateways;
mod gateways_choice;
mod secrets;
mod source_contract;
mod source_decorators;
