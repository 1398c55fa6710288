/** The shell around the screens (frontend contract §3.1): backdrop, card, what closes it, and the screen by state. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Theme } from './apply-theme.ts';
import type { Controller } from './controller.ts';
import { isSingle, subjectOf, type State } from './machine.ts';
import { BackIcon, CloseIcon } from './parts/icons.tsx';
import { LeaveDialog } from './parts/leave-dialog.tsx';
import { Broken } from './screens/broken.tsx';
import { ConnectedScreen } from './screens/connected.tsx';
import { FailureScreen } from './screens/failure.tsx';
import { Form } from './screens/form.tsx';
import { List } from './screens/list.tsx';
import { Loading } from './screens/loading.tsx';
import { Notice } from './screens/notice.tsx';
import { Waiting } from './screens/waiting.tsx';
import type { Happening } from './telemetry.ts';
import { useFocusTrap } from './focus-trap.ts';
import { fill } from './words/languages.ts';

export function App({ controller, theme }: { controller: Controller; theme: Theme }) {
    const [state, setState] = useState(controller.state);
    // Not `useEffect`, which waits for a frame: one may be long in coming, in a tab behind others or a frame of another origin, and what the
    // server has answered until then would not be shown.
    useLayoutEffect(() => {
        setState(controller.state);
        return controller.subscribe(setState);
    }, [controller]);
    const settings = state.session?.connectUISettings;
    // Before the browser paints what was rendered with them.
    if (settings) theme.use(settings);

    const { words, config } = controller;
    const [leaving, setLeaving] = useState<Happening>();
    const card = useRef<HTMLDivElement>(null);
    useFocusTrap(card, !config.isStandalone);

    const isEmbedded = !config.isStandalone;
    const close = (by: Happening): void => {
        if (!isEmbedded || config.isPreview) return;
        if (controller.isDirty) setLeaving(by);
        else controller.close(by);
    };
    useEffect(() => {
        const onKey = (event: KeyboardEvent): void => {
            if (event.key === 'Escape' && leaving === undefined && !event.defaultPrevented) close('click:close');
        };
        document.addEventListener('keydown', onKey);
        return () => document.removeEventListener('keydown', onKey);
    });

    const subject = subjectOf(state);
    const name = subject?.integration.display_name ?? '';
    return (
        <div
            class={`backdrop ${config.isStandalone ? 'standalone' : config.isInline ? 'inline' : 'embedded'}`}
            onMouseDown={(event) => {
                if (event.target === event.currentTarget) close('click:outside');
            }}
        >
            <div ref={card} class="card" role="dialog" aria-modal="true" aria-labelledby="title">
                <header class="bar">
                    {hasBack(state) && (
                        <button type="button" class="icon-button" aria-label={words.back} onClick={() => controller.back()}>
                            <BackIcon />
                        </button>
                    )}
                    <span class="space" />
                    {isEmbedded && (
                        <button type="button" class="icon-button" aria-label={words.close} onClick={() => close('click:close')}>
                            <CloseIcon />
                        </button>
                    )}
                </header>
                <main class="body" key={screenKey(state)}>
                    <Broken words={words}>
                        <CurrentScreen controller={controller} state={state} />
                    </Broken>
                </main>
                {(subject?.helpUrl !== undefined || settings?.showWatermark) && (
                    <footer class="foot">
                        {subject?.helpUrl !== undefined && (
                            <a
                                class="link"
                                href={subject.helpUrl}
                                target="_blank"
                                rel="noreferrer"
                                onClick={() => controller.track('click:doc', subject.integration.unique_key)}
                            >
                                {fill(words.help, { name })}
                                <span class="unseen">{` (${words.opensInNewTab})`}</span>
                            </a>
                        )}
                        {settings?.showWatermark && <span class="watermark">{fill(words.watermark, { name: 'Valetkey' })}</span>}
                    </footer>
                )}
            </div>
            {leaving !== undefined && (
                <LeaveDialog
                    words={words}
                    onStay={() => setLeaving(undefined)}
                    onLeave={() => {
                        setLeaving(undefined);
                        controller.close(leaving);
                    }}
                />
            )}
        </div>
    );
}

/** There is a list to go back to, or a form. */
function hasBack(state: State): boolean {
    const { name } = state.screen;
    if (name === 'form') return !isSingle(state) && !(state.screen.name === 'form' && state.screen.isBusy);
    return name === 'unsupported' && !isSingle(state);
}

/** A new key is a new screen: it slides in, begins at its top and takes the focus. */
const screenKey = (state: State): string => `${state.screen.name} ${subjectOf(state)?.integration.unique_key ?? ''}`;

function CurrentScreen({ controller, state }: { controller: Controller; state: State }) {
    const { screen } = state;
    switch (screen.name) {
        case 'boot':
        case 'loading':
            return <Loading words={controller.words} />;
        case 'list':
            return (
                <List
                    integrations={state.integrations ?? []}
                    picked={screen.picked}
                    words={controller.words}
                    onPick={(integration) => controller.pick(integration)}
                />
            );
        case 'form':
            return <Form controller={controller} state={state} subject={screen.subject} />;
        case 'waiting':
            return <Waiting controller={controller} state={state} />;
        case 'success':
        case 'pending':
            return <ConnectedScreen controller={controller} state={state} screen={screen} />;
        case 'failure':
            return <FailureScreen controller={controller} state={state} screen={screen} />;
        default:
            return <Notice controller={controller} screen={screen} />;
    }
}
