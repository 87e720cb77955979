//! The contract tests, as one program: cargo runs one program of tests after the other, and these
//! wait more than they compute.

mod budgets;
mod children;
mod container;
mod conversation;
mod examples;
mod foreign_logs;
mod install;
mod kubernetes;
mod lacks;
mod limits;
mod log;
mod many_machines;
mod peers;
mod plain;
mod pressure;
mod resources;
mod service_manager;
mod silence;
mod slurm;
mod stop;
mod together;
mod upgrade;
mod uring;
mod usage;
mod workers;
