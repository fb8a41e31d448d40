# An image that holds the agent and nothing else: make build, then
#   docker build -f deploy/vitrine-agent.Dockerfile -t vitrine-agent:latest .
FROM scratch
COPY bin/vitrine-agent /vitrine-agent
ENTRYPOINT ["/vitrine-agent"]
