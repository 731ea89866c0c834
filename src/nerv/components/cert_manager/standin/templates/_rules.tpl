{{- /* Rules as the API wants them. Argument: (list rules read-verbs). */ -}}
{{- define "cm.rules" -}}
{{- $read := last . -}}
{{- range first . }}
- apiGroups: {{ toJson (index . 0) }}
  resources: {{ toJson (index . 1) }}
  {{- if gt (len .) 3 }}
  resourceNames: {{ toJson (index . 3) }}
  {{- end }}
  verbs: {{ ternary $read (index . 2) (kindIs "string" (index . 2)) | toJson }}
{{- end }}
{{- end -}}

{{- /* A role and its binding to a part's account.
Arguments: root, part, component, kind, name, binding, namespace, rules, annotations, aggregate. */ -}}
{{- define "cm.role" -}}
{{- $labels := include "cm.labels" (list .root .part) | fromYaml -}}
{{- with .component }}{{- $_ := set $labels "app.kubernetes.io/component" . -}}{{- end -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
    {{- range .aggregate }}
    rbac.authorization.k8s.io/aggregate-to-{{ . }}: "true"
    {{- end }}
  {{- with .annotations }}
  annotations: {{ toJson . }}
  {{- end }}
rules: {{- .rules | nindent 2 }}
{{- if not .aggregate }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ default .name .binding }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- toYaml $labels | nindent 4 }}
  {{- with .annotations }}
  annotations: {{ toJson . }}
  {{- end }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind }}, name: "{{ .name }}"}
subjects:
  - {kind: ServiceAccount, name: {{ include "cm.account" (list .root .part) }}, namespace: {{ include "cm.space" .root }}}
{{- end }}
{{- end -}}
