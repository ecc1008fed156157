"""The files that run an application in containers, on Kubernetes and under systemd.

Promises: they are made from the application itself and from what is installed here; a file that differs from what would
be written is kept, and named, unless it is to be replaced; passwords are made once and never replaced.
"""

from flyball.operations.deployment.facts import DeploymentFacts, deployment_facts
from flyball.operations.deployment.rendering import deployment_files
from flyball.operations.deployment.writing import WrittenFiles, write_files

__all__ = ["DeploymentFacts", "WrittenFiles", "deployment_facts", "deployment_files", "write_files"]
