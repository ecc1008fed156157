"""From a request to a stamped answer: pure steps without threads or HTTP."""
