#!/bin/sh
# Creates the namespace and the search attributes that runs are found by. Safe to run again.
set -eu
namespace="${TEMPORAL_NAMESPACE:-default}"

# Repeats a command until it succeeds, 30 times every two seconds; its output is in $output. Ends the script otherwise.
wait_for() {
  failure=$1
  shift
  attempts=0
  until output=$("$@" 2>&1); do
    attempts=$((attempts + 1))
    if [ "$attempts" -ge 30 ]; then
      echo "$failure within 60 s: $output" >&2
      exit 1
    fi
    sleep 2
  done
}

wait_for "Temporal at $TEMPORAL_ADDRESS was not healthy" temporal operator cluster health

temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$namespace" --retention "${TEMPORAL_RETENTION:-72h}"

# A new namespace reaches every part of the server within seconds, not at once.
wait_for "Namespace $namespace did not become usable" temporal operator search-attribute list --namespace "$namespace"
known=$output

attribute() {
  case "$known" in
    *"$1"*) echo "$1: there" ;;
    *) temporal operator search-attribute create --namespace "$namespace" --name "$1" --type "$2" ;;
  esac
}
attribute RunsRunId Keyword
attribute RunsThreadId Keyword
attribute RunsAssistantId Keyword
attribute RunsStatus Keyword
attribute RunsWaitingFor KeywordList
attribute RunsDeadline Datetime

# A part of Temporal lists new attributes seconds before another part accepts them. No worker polls this queue.
check=durable-runs-attribute-check
wait_for "Namespace $namespace refuses a start with the search attributes" \
  temporal workflow start --namespace "$namespace" --type "$check" --task-queue "$check" \
  --workflow-id "$check" --id-conflict-policy TerminateExisting --execution-timeout 60s \
  --search-attribute 'RunsRunId="check"' --search-attribute 'RunsThreadId="check"' \
  --search-attribute 'RunsAssistantId="check"' --search-attribute 'RunsStatus="queued"' \
  --search-attribute 'RunsWaitingFor=["check"]' --search-attribute 'RunsDeadline="2000-01-01T00:00:00Z"'
temporal workflow terminate --namespace "$namespace" --workflow-id "$check" --reason 'attributes are accepted' >/dev/null
echo "search attributes: accepted by a start"
