{{- /* The command line of Traefik, in the order of the real chart; static configuration has no other source. */ -}}

{{- define "traefik.arguments" -}}
{{- $values := .Values -}}
{{- if (index $values "global").checkNewVersion | not }}
- --global.checkNewVersion=false
{{- end }}
{{- if (index $values "global").sendAnonymousUsage }}
- --global.sendAnonymousUsage
{{- end }}
{{- range $name, $port := $values.ports }}
{{- if $port }}
- --entryPoints.{{ $name }}.address={{ $port.hostIP }}:{{ $port.port }}/{{ default "tcp" $port.protocol | lower }}
{{- end }}
{{- end }}
- --api.dashboard=true
- --ping=true
{{- with $values.metrics.prometheus }}
- --metrics.prometheus=true
- --metrics.prometheus.entrypoint={{ .entryPoint }}
{{- range $flag := list "addEntryPointsLabels" "addRoutersLabels" "addServicesLabels" }}
{{- if not (kindIs "invalid" (index $values.metrics.prometheus $flag)) }}
- --metrics.prometheus.{{ $flag }}={{ index $values.metrics.prometheus $flag }}
{{- end }}
{{- end }}
{{- with .buckets }}
- --metrics.prometheus.buckets={{ . }}
{{- end }}
{{- if .manualRouting }}
- --metrics.prometheus.manualrouting=true
{{- end }}
{{- end }}
{{- if $values.metrics.addInternals }}
- --metrics.addInternals=true
{{- end }}
{{- include "traefik.arguments.providers" . }}
{{- range $name, $port := $values.ports }}
{{- if $port }}
{{- include "traefik.arguments.port" (dict "root" $ "name" $name "port" $port) }}
{{- end }}
{{- end }}
{{- include "traefik.arguments.logs" $values.logs }}
{{- range $values.additionalArguments }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "traefik.arguments.providers" -}}
{{- $providers := .Values.providers -}}
{{- with $providers.kubernetesCRD }}
{{- if .enabled }}
- --providers.kubernetescrd
{{- include "traefik.arguments.flags" (list "kubernetescrd" . (list "allowCrossNamespace" "allowExternalNameServices" "allowEmptyServices" "nativeLBByDefault")) }}
{{- with .ingressClass }}
- --providers.kubernetescrd.ingressClass={{ . }}
{{- end }}
{{- with .namespaces }}
- --providers.kubernetescrd.namespaces={{ join "," . }}
{{- end }}
{{- end }}
{{- end }}
{{- with $providers.kubernetesIngress }}
{{- if .enabled }}
- --providers.kubernetesingress
{{- include "traefik.arguments.flags" (list "kubernetesingress" . (list "allowExternalNameServices" "allowEmptyServices")) }}
{{- if .publishedService.enabled }}
- --providers.kubernetesingress.ingressendpoint.publishedservice={{ default (printf "%s/%s" (include "traefik.space" $) (include "traefik.base" $)) .publishedService.pathOverride }}
{{- end }}
{{- with .namespaces }}
- --providers.kubernetesingress.namespaces={{ join "," . }}
{{- end }}
{{- with .ingressClass }}
- --providers.kubernetesingress.ingressClass={{ . }}
{{- end }}
{{- include "traefik.arguments.flags" (list "kubernetesingress" . (list "nativeLBByDefault" "strictPrefixMatching")) }}
{{- end }}
{{- end }}
{{- if $providers.file.enabled }}
- --providers.file.directory=/etc/traefik/dynamic
- --providers.file.watch={{ $providers.file.watch }}
{{- end }}
{{- end -}}

{{- /* Argument: (list provider settings flag-names). A flag is written only where it is on. */ -}}
{{- define "traefik.arguments.flags" -}}
{{- $settings := index . 1 -}}
{{- $provider := index . 0 -}}
{{- range index . 2 }}
{{- if index $settings . }}
- --providers.{{ $provider }}.{{ . }}=true
{{- end }}
{{- end }}
{{- end -}}

{{- /* Arguments: root, name, port. */ -}}
{{- define "traefik.arguments.port" -}}
{{- $prefix := printf "--entryPoints.%s" .name -}}
{{- $port := .port -}}
{{- with dig "redirections" "entryPoint" dict $port }}
{{- if .to }}
{{- $target := index $.root.Values.ports .to }}
- {{ $prefix }}.http.redirections.entryPoint.to={{ if $target }}:{{ $target.exposedPort }}{{ else }}{{ .to }}{{ end }}
{{- range $key := list "scheme" "priority" "permanent" }}
{{- with index $port.redirections.entryPoint $key }}
- {{ $prefix }}.http.redirections.entryPoint.{{ $key }}={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $port.middlewares }}
- {{ $prefix }}.http.middlewares={{ join "," . }}
{{- end }}
{{- if dig "tls" "enabled" false $port }}
- {{ $prefix }}.http.tls=true
{{- with $port.tls.options }}
- {{ $prefix }}.http.tls.options={{ . }}
{{- end }}
{{- with $port.tls.certResolver }}
- {{ $prefix }}.http.tls.certResolver={{ . }}
{{- end }}
{{- range $index, $domain := $port.tls.domains }}
- {{ $prefix }}.http.tls.domains[{{ $index }}].main={{ $domain.main }}
{{- with $domain.sans }}
- {{ $prefix }}.http.tls.domains[{{ $index }}].sans={{ join "," . }}
{{- end }}
{{- end }}
{{- end }}
{{- if dig "http3" "enabled" false $port }}
- {{ $prefix }}.http3
{{- with $port.http3.advertisedPort }}
- {{ $prefix }}.http3.advertisedPort={{ . }}
{{- end }}
{{- end }}
{{- if $port.allowACMEByPass }}
- {{ $prefix }}.allowACMEByPass=true
{{- end }}
{{- range $kind := list "forwardedHeaders" "proxyProtocol" }}
{{- with index $port $kind }}
{{- with .trustedIPs }}
- {{ $prefix }}.{{ $kind }}.trustedIPs={{ join "," . }}
{{- end }}
{{- if .insecure }}
- {{ $prefix }}.{{ $kind }}.insecure
{{- end }}
{{- end }}
{{- end }}
{{- with $port.transport }}
{{- range $group := list "respondingTimeouts" "lifeCycle" }}
{{- range $key, $value := index $port.transport $group }}
{{- if not (kindIs "invalid" $value) }}
- {{ $prefix }}.transport.{{ $group }}.{{ $key }}={{ $value }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key := list "keepAliveMaxRequests" "keepAliveMaxTime" }}
{{- with index $port.transport $key }}
- {{ $prefix }}.transport.{{ $key }}={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "traefik.arguments.logs" -}}
{{- with .general }}
{{- with .format }}
- --log.format={{ . }}
{{- end }}
{{- with .filePath }}
- --log.filePath={{ . }}
{{- end }}
{{- if .noColor }}
- --log.noColor=true
{{- end }}
- --log.level={{ .level }}
{{- end }}
{{- with .access }}
{{- if .enabled }}
- --accesslog=true
{{- with .format }}
- --accesslog.format={{ . }}
{{- end }}
{{- with .bufferingSize }}
- --accesslog.bufferingsize={{ . }}
{{- end }}
{{- if .addInternals }}
- --accesslog.addinternals
{{- end }}
{{- with .filters.statuscodes }}
- --accesslog.filters.statuscodes={{ . }}
{{- end }}
{{- if .filters.retryattempts }}
- --accesslog.filters.retryattempts
{{- end }}
{{- with .filters.minduration }}
- --accesslog.filters.minduration={{ . }}
{{- end }}
- --accesslog.fields.defaultmode={{ .fields.general.defaultmode }}
{{- range $name, $mode := .fields.general.names }}
- --accesslog.fields.names.{{ $name }}={{ $mode }}
{{- end }}
- --accesslog.fields.headers.defaultmode={{ .fields.headers.defaultmode }}
{{- range $name, $mode := .fields.headers.names }}
- --accesslog.fields.headers.names.{{ $name }}={{ $mode }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
