"""What runs in and around a block's process: the zygote that forks it, and the code that runs one attempt in it."""
