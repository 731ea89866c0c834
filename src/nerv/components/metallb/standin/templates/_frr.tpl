{{- /* The routing daemon beside the speaker (BGP). Not needed for layer 2; on this machine it is a simulation. */ -}}

{{- /* Argument: (list root speaker-values). */ -}}
{{- define "metallb.frr.preparations" -}}
{{- $root := first . }}
{{- $speaker := last . -}}
- name: cp-frr-files
  {{- include "metallb.image" (list $root $speaker.frr.image) | nindent 2 }}
  command: [/bin/sh, -c, "cp -rLf /tmp/frr/* /etc/frr/"]
  securityContext: {runAsUser: 100, runAsGroup: 101}
  volumeMounts:
    - {name: frr-startup, mountPath: /tmp/frr}
    - {name: frr-conf, mountPath: /etc/frr}
{{- range list (list "reloader" "frr-reloader.sh" "/etc/frr_reloader") (list "metrics" "frr-metrics" "/etc/frr_metrics") }}
- name: cp-{{ index . 0 }}
  {{- include "metallb.image" (list $root $speaker.image) | nindent 2 }}
  command: [/cp-tool, /{{ index . 1 }}, {{ index . 2 }}/{{ index . 1 }}]
  volumeMounts:
    - {name: {{ index . 0 }}, mountPath: {{ index . 2 }}}
{{- end }}
{{- end -}}

{{- /* Argument: (list root speaker-values). */ -}}
{{- define "metallb.frr.containers" -}}
{{- $root := first . }}
{{- $speaker := last . }}
{{- $port := $speaker.frr.metricsPort -}}
- name: frr
  {{- include "metallb.image" (list $root $speaker.frr.image) | nindent 2 }}
  command: [/sbin/tini, --, /usr/lib/frr/docker-start]
  env:
    - {name: TINI_SUBREAPER, value: "true"}
  securityContext:
    capabilities: {add: [NET_ADMIN, NET_RAW, SYS_ADMIN, NET_BIND_SERVICE]}
  {{- if $speaker.livenessProbe.enabled }}
  livenessProbe:
    httpGet: {path: livez, port: {{ $port }}}
    {{- omit $speaker.livenessProbe "enabled" | toYaml | nindent 4 }}
  {{- end }}
  {{- if $speaker.startupProbe.enabled }}
  startupProbe:
    httpGet: {path: /livez, port: {{ $port }}}
    {{- omit $speaker.startupProbe "enabled" | toYaml | nindent 4 }}
  {{- end }}
  {{- with $speaker.frr.resources }}
  resources: {{ toJson . }}
  {{- end }}
  volumeMounts:
    - {name: frr-sockets, mountPath: /var/run/frr}
    - {name: frr-conf, mountPath: /etc/frr}
- name: reloader
  {{- include "metallb.image" (list $root $speaker.frr.image) | nindent 2 }}
  command: [/etc/frr_reloader/frr-reloader.sh]
  {{- with $speaker.reloader.resources }}
  resources: {{ toJson . }}
  {{- end }}
  volumeMounts:
    - {name: frr-sockets, mountPath: /var/run/frr}
    - {name: frr-conf, mountPath: /etc/frr}
    - {name: reloader, mountPath: /etc/frr_reloader}
- name: frr-metrics
  {{- include "metallb.image" (list $root $speaker.frr.image) | nindent 2 }}
  command: [/etc/frr_metrics/frr-metrics]
  args: [--metrics-port={{ $port }}]
  env:
    - {name: VTYSH_HISTFILE, value: /dev/null}
  ports:
    - {name: monitoring, containerPort: {{ $port }}}
  {{- with $speaker.frrMetrics.resources }}
  resources: {{ toJson . }}
  {{- end }}
  volumeMounts:
    - {name: frr-sockets, mountPath: /var/run/frr}
    - {name: frr-conf, mountPath: /etc/frr}
    - {name: metrics, mountPath: /etc/frr_metrics}
{{- end -}}
