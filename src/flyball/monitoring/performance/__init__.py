"""How good the predictions of an application are: measured where labels are known, estimated where not."""
