mod semaphore;
