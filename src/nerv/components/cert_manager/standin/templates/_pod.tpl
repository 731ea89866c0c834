{{- /* The pod template of a part.
Arguments: root, part, values, arguments (list), ports (list), probes (dict), volumes (list), mounts (list), annotations. */ -}}
{{- define "cm.pod" -}}
{{- $root := .root }}
{{- $values := .values }}
{{- $id := list .root .part -}}
metadata:
  labels:
    {{- include "cm.labels" $id | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge dict (default dict $values.podAnnotations) (default dict .annotations) }}
  annotations: {{ toJson . }}
  {{- end }}
spec:
  serviceAccountName: {{ include "cm.account" $id }}
  {{- if hasKey $values "automountServiceAccountToken" }}
  automountServiceAccountToken: {{ $values.automountServiceAccountToken }}
  {{- end }}
  enableServiceLinks: {{ $values.enableServiceLinks }}
  {{- with (index $root.Values "global").priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with (index $root.Values "global").imagePullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  {{- if eq .part "startupapicheck" }}
  restartPolicy: OnFailure
  {{- end }}
  {{- if $values.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- range $key := list "securityContext" "nodeSelector" "affinity" "tolerations" "topologySpreadConstraints" "hostAliases" }}
  {{- with index $values $key }}
  {{ $key }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  containers:
    - name: {{ include "cm.name" $root }}-{{ .part }}
      image: {{ include "cm.image" (list $root $values.image) | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{- toYaml .arguments | nindent 8 }}
      env:
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .probes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with $values.containerSecurityContext }}
      securityContext: {{ toJson . }}
      {{- end }}
      {{- with $values.resources }}
      resources: {{ toJson . }}
      {{- end }}
      {{- with concat (default list .mounts) (default list $values.volumeMounts) }}
      volumeMounts: {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with concat (default list .volumes) (default list $values.volumes) }}
  volumes: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* One Deployment. Arguments as above. */ -}}
{{- define "cm.deployment" -}}
{{- $id := list .root .part -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "cm.full" $id }}
  namespace: {{ include "cm.space" .root }}
  labels: {{- include "cm.labels" $id | nindent 4 }}
  annotations: {{ merge (dict "nerv.dev/stand-in" "true") (default dict .values.deploymentAnnotations) | toJson }}
spec:
  replicas: {{ .values.replicaCount }}
  {{- with (index .root.Values "global").revisionHistoryLimit }}
  revisionHistoryLimit: {{ . }}
  {{- end }}
  {{- with .values.strategy }}
  strategy: {{ toJson . }}
  {{- end }}
  selector:
    matchLabels: {{- include "cm.selector" $id | nindent 6 }}
  template: {{- include "cm.pod" . | nindent 4 }}
{{- end -}}
