{{/* Environment of both containers of the test. */}}
{{- define "context.testBasics" -}}
env:
  - name: INTENT_TARGET
    value: {{ printf "%s:%d" (include "context.fullname" .) (int .Values.service.port) | quote }}
  - name: INTENT_TENANT
    value: {{ .Values.tests.tenant | quote }}
  {{- include "context.tlsEnvironment" . | indent 2 }}
  {{- if eq .Values.identity.mode "dev" }}
  - name: INTENT_ACTOR
    value: service:helm-test
  - name: INTENT_ROLES
    value: {{ .Values.tests.roles | quote }}
  {{- end }}
  {{- with .Values.tests.tokenSecret }}
  - name: INTENT_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ . }}
        key: {{ $.Values.tests.tokenKey }}
  {{- end }}
resources:
  requests: {cpu: 50m, memory: 128Mi}
  limits: {memory: 256Mi}
volumeMounts:
  - name: scratch
    mountPath: /tmp
  {{- include "context.tlsMount" . | indent 2 }}
{{- end -}}

{{/* A UUID derived from a text. */}}
{{- define "context.uuid" -}}
{{- $hash := sha256sum . -}}
{{- printf "%s-%s-8%s-8%s-%s" (substr 0 8 $hash) (substr 8 12 $hash) (substr 12 15 $hash) (substr 15 18 $hash) (substr 18 30 $hash) -}}
{{- end -}}
