mod bounded;
mod executor;
mod interpreter_lock;
mod semaphore;
mod thread_pool;
mod ticket_lock;
mod watched;
