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
  {{- if include "context.testToken" . }}
  - name: INTENT_TOKEN_FILE
    value: {{ include "context.secrets" . }}/workload/token
  {{- if .Values.identity.tokensInPlainText }}
  - name: INTENT_TOKEN_IN_PLAIN_TEXT
    value: "true"
  {{- end }}
  {{- end }}
resources:
  requests: {cpu: 50m, memory: 128Mi}
  limits: {memory: 256Mi}
volumeMounts:
  - name: scratch
    mountPath: /tmp
  {{- include "context.tlsMount" . | indent 2 }}
  {{- if include "context.testToken" . }}
  {{- include "context.workloadMount" . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Set when the test has a token: that of its ServiceAccount, or one from a Secret. */}}
{{- define "context.testToken" -}}
{{- if or (include "context.testsAsWorkload" .) .Values.tests.tokenSecret -}}yes{{- end -}}
{{- end -}}

{{- define "context.testVolumes" -}}
{{- include "context.scratchVolume" . }}
{{- include "context.tlsVolume" . }}
{{- if include "context.testsAsWorkload" . }}
{{ include "context.workloadVolume" . }}
{{- else if .Values.tests.tokenSecret }}
- name: workload
  secret:
    secretName: {{ .Values.tests.tokenSecret }}
    defaultMode: 288
    items:
      - key: {{ .Values.tests.tokenKey }}
        path: token
{{- end }}
{{- end -}}

{{/* A UUID derived from a text. */}}
{{- define "context.uuid" -}}
{{- $hash := sha256sum . -}}
{{- printf "%s-%s-8%s-8%s-%s" (substr 0 8 $hash) (substr 8 12 $hash) (substr 12 15 $hash) (substr 15 18 $hash) (substr 18 30 $hash) -}}
{{- end -}}
