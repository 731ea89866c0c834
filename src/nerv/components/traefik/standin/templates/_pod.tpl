{{- /* The pod of the Deployment or the DaemonSet. */ -}}
{{- define "traefik.pod" -}}
{{- $values := .Values }}
{{- $deployment := $values.deployment -}}
metadata:
  labels:
    {{- include "traefik.labels" . | nindent 4 }}
    {{- range $key, $value := $deployment.podLabels }}
    {{ $key }}: {{ $value | quote }}
    {{- end }}
  {{- $annotations := dict }}
  {{- if not $values.metrics.prometheus.serviceMonitor.enabled }}
  {{- $port := index $values.ports $values.metrics.prometheus.entryPoint }}
  {{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/path" "/metrics" "prometheus.io/port" (toString $port.port) }}
  {{- end }}
  {{- with merge dict $deployment.podAnnotations $annotations }}
  annotations: {{ toJson . }}
  {{- end }}
spec:
  serviceAccountName: {{ include "traefik.account" . }}
  automountServiceAccountToken: true
  terminationGracePeriodSeconds: {{ $deployment.terminationGracePeriodSeconds }}
  hostNetwork: {{ $values.hostNetwork }}
  {{- with $values.podSecurityContext }}
  securityContext: {{ toJson . }}
  {{- end }}
  {{- range $key := list "imagePullSecrets" "hostAliases" "dnsPolicy" "dnsConfig" "initContainers" "runtimeClassName" "shareProcessNamespace" }}
  {{- with index $deployment $key }}
  {{ $key }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  {{- range $key := list "affinity" "nodeSelector" "tolerations" "topologySpreadConstraints" "priorityClassName" }}
  {{- with index $values $key }}
  {{ $key }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  containers:
    - name: {{ include "traefik.base" . }}
      image: {{ printf "%s/%s:%s" $values.image.registry $values.image.repository (default .Chart.AppVersion $values.image.tag) }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{- include "traefik.arguments" . | nindent 8 }}
      env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        {{- with dig "limits" "memory" "" $values.resources }}
        {{- if $deployment.goMemLimitPercentage }}
        - {name: GOMEMLIMIT, value: {{ include "traefik.memory" (list . $deployment.goMemLimitPercentage) | quote }}}
        {{- end }}
        {{- end }}
        {{- with $values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $values.envFrom }}
      envFrom: {{ toJson . }}
      {{- end }}
      ports:
        {{- range $name, $port := $values.ports }}
        {{- if $port }}
        - name: {{ $name }}
          containerPort: {{ default $port.port $port.containerPort }}
          protocol: {{ default "TCP" $port.protocol }}
          {{- with $port.hostPort }}
          hostPort: {{ . }}
          {{- end }}
          {{- with $port.hostIP }}
          hostIP: {{ . }}
          {{- end }}
        {{- if dig "http3" "enabled" false $port }}
        - {name: {{ $name }}-http3, containerPort: {{ $port.port }}, protocol: UDP}
        {{- end }}
        {{- end }}
        {{- end }}
      {{- $probe := dict "path" "/ping" "port" (default $values.ports.traefik.port $deployment.healthchecksPort) "scheme" (default "HTTP" $deployment.healthchecksScheme) }}
      {{- with $deployment.healthchecksHost }}
      {{- $_ := set $probe "host" . }}
      {{- end }}
      readinessProbe:
        httpGet: {{ merge (ternary (dict "path" $deployment.readinessPath) dict (ne $deployment.readinessPath "")) $probe | toJson }}
        {{- toYaml $values.readinessProbe | nindent 8 }}
      livenessProbe:
        httpGet: {{ merge (ternary (dict "path" $deployment.livenessPath) dict (ne $deployment.livenessPath "")) $probe | toJson }}
        {{- toYaml $values.livenessProbe | nindent 8 }}
      {{- with $values.startupProbe }}
      startupProbe: {{ toJson . }}
      {{- end }}
      {{- with $deployment.lifecycle }}
      lifecycle: {{ toJson . }}
      {{- end }}
      {{- with $values.resources }}
      resources: {{ toJson . }}
      {{- end }}
      {{- with $values.securityContext }}
      securityContext: {{ toJson . }}
      {{- end }}
      volumeMounts:
        - name: {{ $values.persistence.name }}
          mountPath: {{ $values.persistence.path }}
          {{- with $values.persistence.subPath }}
          subPath: {{ . }}
          {{- end }}
        - {name: tmp, mountPath: /tmp}
        {{- range $values.volumes }}
        - {name: {{ .name }}, mountPath: {{ .mountPath }}, readOnly: true}
        {{- end }}
        {{- if $values.providers.file.enabled }}
        - {name: traefik-extra-config, mountPath: /etc/traefik/dynamic}
        {{- end }}
        {{- with $values.additionalVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $deployment.additionalContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: {{ $values.persistence.name }}
      {{- if $values.persistence.enabled }}
      persistentVolumeClaim: {claimName: {{ default (include "traefik.base" .) $values.persistence.existingClaim }}}
      {{- else }}
      emptyDir: {}
      {{- end }}
    - {name: tmp, emptyDir: {}}
    {{- range $values.volumes }}
    - name: {{ .name }}
      {{- if eq .type "secret" }}
      secret: {secretName: {{ .name }}}
      {{- else if eq .type "configMap" }}
      configMap: {name: {{ .name }}}
      {{- end }}
    {{- end }}
    {{- if $values.providers.file.enabled }}
    - {name: traefik-extra-config, configMap: {name: {{ include "traefik.base" . }}-file-provider}}
    {{- end }}
    {{- with $deployment.additionalVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* A share of a memory limit as Go reads it. Argument: (list limit share). */ -}}
{{- define "traefik.memory" -}}
{{- $limit := first . -}}
{{- $amount := regexFind "^[0-9.]+" $limit -}}
{{- $unit := trimPrefix $amount $limit -}}
{{- $go := dict "Ki" "KiB" "Mi" "MiB" "Gi" "GiB" "Ti" "TiB" "" "B" -}}
{{- if eq $unit "Gi" -}}
{{- printf "%dMiB" (mulf (float64 $amount) 1024 (last .) | int64) -}}
{{- else -}}
{{- printf "%d%s" (mulf (float64 $amount) (last .) | int64) (default "B" (get $go $unit)) -}}
{{- end -}}
{{- end -}}
