//! Content from one or several servers: faults, secrets, proxies and TLS. Also the contract of every source.

mod answers;
mod connections;
mod early;
mod gateways;
mod gateways_choice;
mod gateways_stalls;
mod new_server;
mod secrets;
mod source_contract;
mod source_decorators;
