import { useMemo, useState } from 'preact/hooks';
import { invalidPresets, type Controller } from '../controller.ts';
import type { Field } from '../fields.ts';
import type { State, Subject } from '../machine.ts';
import { isOutbound, ownAppCredentials, wayOf } from '../modes.ts';
import { newId } from '../new-id.ts';
import { Alert } from '../parts/alert.tsx';
import { Button } from '../parts/button.tsx';
import { CopyPanel } from '../parts/copy-panel.tsx';
import { FieldControl } from '../parts/field-control.tsx';
import { Heading } from '../parts/heading.tsx';
import { LinkIcon } from '../parts/icons.tsx';
import { Logo } from '../parts/logo.tsx';
import { faultsOf } from '../validation.ts';
import { fill } from '../words/languages.ts';

interface Props {
    readonly controller: Controller;
    readonly state: State;
    readonly subject: Subject;
}

export function Form({ controller, state, subject }: Props) {
    const { words, config } = controller;
    const { integration, provider, fields } = subject;
    const { isBusy = false, alert } = state.screen.name === 'form' ? state.screen : {};
    const name = integration.display_name;
    const isReconnecting = state.session?.isReconnecting === true;
    const values = controller.form.valuesOf(subject);
    const faults = faultsOf(fields, values);
    const visible = fields.filter(({ isHidden }) => !isHidden);
    const isOwnApp = ({ group, name: field }: Field): boolean =>
        provider.auth_mode === 'OAUTH2' && group === 'credentials' && (ownAppCredentials as readonly string[]).includes(field);
    const ownApp = visible.filter(isOwnApp);
    const inputs = visible.filter((field) => !isOwnApp(field));
    const invalid = invalidPresets(fields);
    const isReady = Object.keys(faults).length === 0;
    const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
    const [isAsked, setAsked] = useState(false);
    const externalId = useExternalId(state, subject);
    const extraParams: Record<string, string> = externalId === undefined ? {} : { external_id: externalId };
    const hasInputs = visible.length > 0 || externalId !== undefined;
    const goesToWindow = wayOf(provider)?.kind === 'window';

    const submit = (event: Event): void => {
        event.preventDefault();
        if (isReady) {
            controller.form.submit(subject, extraParams);
            return;
        }
        setAsked(true);
        const first = visible.find(({ id }) => faults[id] !== undefined);
        if (first) (event.currentTarget as HTMLFormElement).querySelector<HTMLElement>(`[name="${CSS.escape(first.id)}"]`)?.focus();
    };

    const control = (field: Field) => (
        <FieldControl
            key={field.id}
            field={field}
            value={values[field.id] ?? ''}
            fault={isAsked || left.has(field.id) ? faults[field.id] : undefined}
            words={words}
            onChange={(value) => controller.form.edit(subject, field.id, value, { isByHand: true })}
            onLeave={() => {
                if ((values[field.id] ?? '') !== '') setLeft(new Set([...left, field.id]));
            }}
            onHelp={() => controller.track('click:doc_section', integration.unique_key)}
        />
    );

    return (
        <form class={hasInputs ? 'form-screen' : 'form-screen bare'} noValidate autocomplete="off" onSubmit={submit}>
            <div class="form-head">
                <Logo src={integration.logo} name={name} size="large" />
                <Heading>{fill(isReconnecting ? words.form.reconnectTitle : words.form.title, { name })}</Heading>
                <p class="lead">
                    {fill(inputs.length > 0 ? words.form.intro : words.form.nothingToFillIn, { name })}
                    {inputs.length === 0 && goesToWindow && ` ${fill(words.form.windowHint, { name })}`}
                    {isOutbound(provider) && ` ${fill(words.form.outboundHint, { name })}`}
                </p>
            </div>
            {invalid !== '' && <Alert>{fill(words.form.invalidPreset, { fields: invalid })}</Alert>}
            {externalId !== undefined && <CopyPanel value={externalId} words={words} />}
            {inputs.map(control)}
            {ownApp.length > 0 && (
                <fieldset>
                    <legend>{words.ownApp.title}</legend>
                    {ownApp.map(control)}
                </fieldset>
            )}
            <div class="actions">
                {alert && <Alert>{fill(words.form[alert], { name })}</Alert>}
                {config.isPreview && <p class="note">{words.form.preview}</p>}
                <Button type="submit" isBusy={isBusy} isOff={!isReady || config.isPreview}>
                    {isBusy ? words.form.busy : alert ? words.form.submitAgain : words.form.submit}
                </Button>
                {goesToWindow && !config.isPreview && <OpenLinks {...{ controller, state, subject, extraParams, isReady }} />}
            </div>
            <span class="unseen" role="status">
                {isBusy ? words.form.busy : isAsked && !isReady ? words.form.incomplete : ''}
            </span>
        </form>
    );
}

/** Not on a reconnect: the connection keeps the id that the role already trusts. */
function useExternalId({ session }: State, { integration, provider }: Subject): string | undefined {
    const fresh = useMemo(newId, [integration.unique_key]);
    if (provider.auth_mode !== 'AWS_SIGV4' || session?.isReconnecting) return undefined;
    const preset = session?.integrations_config_defaults?.[integration.unique_key]?.connection_config?.['external_id'];
    return typeof preset === 'string' && preset !== '' ? preset : fresh;
}

interface LinkProps extends Props {
    readonly extraParams: Record<string, string>;
    readonly isReady: boolean;
}

/** An ordinary link opens what a script may not (§7.4, §7.11). */
function OpenLinks({ controller, state, subject, extraParams, isReady }: LinkProps) {
    const { words, config } = controller;
    const [flowId, setFlowId] = useState(newId);
    const isBlocked = state.screen.name === 'form' && state.screen.alert === 'blocked';
    // The flow that did not open is still waited for.
    const blocked = isBlocked ? state.attempt : undefined;
    const link = isReady ? (blocked?.link ?? controller.form.link(subject, flowId, extraParams)) : undefined;
    const inTab = isBlocked && config.isStandalone ? controller.form.link(subject, flowId, extraParams, { returnsToPage: true }) : undefined;
    if (link === undefined) return null;
    return (
        <p class="other-way">
            <a
                class="link"
                href={link}
                target="_blank"
                rel="opener"
                onClick={() => {
                    if (blocked) return;
                    controller.form.followed(flowId, link);
                    setFlowId(newId());
                }}
            >
                <LinkIcon />
                {words.form.openInTab}
            </a>
            {inTab !== undefined && (
                <a class="link" href={inTab} onClick={() => controller.form.aboutToLeave(subject)}>
                    {words.form.openHere}
                </a>
            )}
        </p>
    );
}
