#!/usr/bin/env bash
# Hands the cluster over to Flux: installs its controllers as the repository has them, gives them their two Secrets,
# and the address of the repository. From then on Flux applies the repository, its own controllers included.
#
# It can run at any time and again: where Flux has applied the repository once, only the Secrets are brought up to
# date; whatever a run that was cut off has left is completed. Everything comes by the environment, and Secrets are
# files: none of them is ever an argument, a variable or a line of the log.
#
#   KUBECONFIG             administrator of the cluster
#   FLUX_SYSTEM            folder clusters/<name>/flux-system of the repository
#   FLUX_AGE_SECRET        file: manifest of the Secret flux-system/sops-age
#   FLUX_GIT_LOGIN         file: manifest of the Secret flux-system/flux-system
#   FLUX_GIT_LOGIN_KEYS    keys of the login that must not be empty
#   FLUX_BOOTSTRAP_LIMIT   seconds to wait for any one thing
set -o errexit -o nounset -o pipefail

limit=${FLUX_BOOTSTRAP_LIMIT:-600}
namespace=flux-system

say() { printf 'flux-bootstrap: %s\n' "$*"; }

fail() {
  say "$*" >&2
  exit 1
}

# what no waiting helps against: systemd does not try it again, sops-nix does when a secret changes
cannot() {
  say "$*" >&2
  exit 78
}

# wait_for WHAT COMMAND...: until the command works
wait_for() {
  local what=$1 deadline=$((SECONDS + limit)) said
  shift
  until said=$("$@" 2>&1 >/dev/null); do
    ((SECONDS < deadline)) || fail "waited $limit s for $what: ${said##*$'\n'}"
    sleep 1
  done
}

api_answers() { kubectl get --raw=/readyz --request-timeout=5s; }

# Flux has applied the repository: what it applied is newer than what this machine was built with. No answer is not a
# no (`if` switches errexit off): older controllers must not replace those of a cluster that is Flux's already
flux_is_in_charge() {
  local definition=kustomizations.kustomize.toolkit.fluxcd.io found applied
  found=$(kubectl get customresourcedefinition "$definition" --ignore-not-found --output=name) \
    || fail "the API server does not say whether Flux is there (see above)"
  [[ -n $found ]] || return 1
  applied=$(kubectl get "$definition" flux-system --namespace="$namespace" --ignore-not-found \
    --output='jsonpath={.status.lastAppliedRevision}') \
    || fail "the API server does not say what Flux has applied (see above)"
  [[ -n $applied ]]
}

apply() { kubectl apply --server-side --field-manager=flux --force-conflicts --filename="$1"; }

# the keys of a Secret's manifest that have a value; values stay where they are
keys_with_value() {
  # shellcheck disable=SC2016  # dollars of the template
  local each='{{range $key, $value := .}}{{if $value}}{{$key}} {{end}}{{end}}'
  kubectl create --dry-run=client --validate=false --filename="$1" \
    --output=go-template="{{with .data}}$each{{end}}{{with .stringData}}$each{{end}}"
}

check_files() {
  [[ -r $FLUX_SYSTEM/kustomization.yaml ]] || cannot "$FLUX_SYSTEM/kustomization.yaml is missing: is the repository whole?"
  local file
  for file in "$FLUX_AGE_SECRET" "$FLUX_GIT_LOGIN"; do
    [[ -s $file ]] || cannot "$file is missing: sops-nix writes it from nixos/secrets/servers.sops.yaml," \
      "which must be encrypted for this machine's host key (nerv secrets)"
  done
}

check_login() {
  local found key missing=()
  found=" $(keys_with_value "$FLUX_GIT_LOGIN") "
  for key in $FLUX_GIT_LOGIN_KEYS; do
    [[ $found == *" $key "* ]] || missing+=("$key")
  done
  ((${#missing[@]} == 0)) || cannot "the login of the Git repository has no ${missing[*]} yet:" \
    "run \`nerv bootstrap\`, then \`nerv deploy\` this machine"
}

apply_secrets() {
  apply "$FLUX_AGE_SECRET"
  apply "$FLUX_GIT_LOGIN"
}

# split FILE FOLDER: one file for each stage, in the order of the documents
split() {
  awk -v folder="$2" '
    function write() {
      if (document == "") return
      stage = kind ~ /^(CustomResourceDefinition|Namespace)$/ ? "1-definitions" : \
        group ~ /toolkit\.fluxcd\.io/ ? "3-repository" : "2-controllers"
      printf "---\n%s", document > (folder "/" stage ".yaml")
      document = kind = group = ""
    }
    /^---$/ { write(); next }
    /^kind: / { kind = $2 }
    /^apiVersion: / { group = $2 }
    { document = document $0 "\n" }
    END { write() }
  ' "$1"
}

install() {
  local work
  work=$(mktemp --directory)
  # shellcheck disable=SC2064  # the folder's name is known now
  trap "rm -rf '$work'" EXIT
  kubectl kustomize "$FLUX_SYSTEM" >"$work/all.yaml"
  split "$work/all.yaml" "$work"
  say "definitions and namespace"
  apply "$work/1-definitions.yaml"
  kubectl wait --for=condition=Established customresourcedefinition --selector=app.kubernetes.io/part-of=flux \
    --timeout="${limit}s"
  say "controllers"
  apply "$work/2-controllers.yaml"
  say "secrets"
  apply_secrets
  say "repository"
  apply "$work/3-repository.yaml"
}

check_files
say "waiting for the Kubernetes API"
wait_for "the Kubernetes API" api_answers
check_login
if flux_is_in_charge; then
  say "Flux is in charge already; its Secrets are brought up to date"
  apply_secrets
  exit 0
fi
install
say "waiting for the controllers"
flux check --timeout="${limit}s" || fail "Flux's controllers did not become healthy within $limit s (see above)"
say "first look at the repository"
flux reconcile source git flux-system --timeout="${limit}s" \
  || fail "Flux cannot read the repository (see above); its login is what \`nerv bootstrap\` stored"
say "the cluster is Flux's"
