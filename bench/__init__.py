"""What proves the promises: programs that measure and fail where a limit is broken."""
