import type { Controller } from '../controller.ts';
import type { State } from '../machine.ts';
import { Button } from '../parts/button.tsx';
import { Logo } from '../parts/logo.tsx';
import { Message } from '../parts/message.tsx';
import { fill } from '../words/languages.ts';

/** The person is at the provider, and nothing is expected of them here. */
export function Waiting({ controller, state }: { controller: Controller; state: State }) {
    const { words } = controller;
    const { screen, attempt } = state;
    const subject = screen.name === 'waiting' ? screen.subject : undefined;
    const name = subject?.integration.display_name ?? '';
    const isFinishing = attempt?.isReturned === true || subject === undefined;
    const text = isFinishing ? words.waiting.finishing : attempt?.isSameTab ? fill(words.waiting.sameTab, { name }) : words.waiting.text;
    const mayNeedLink = !isFinishing && attempt?.hasWindow === false && !attempt.isStarted && !attempt.isSameTab;
    return (
        <Message
            picture={
                <span class="orbit">
                    <Logo src={subject?.integration.logo} name={name} size="large" />
                </span>
            }
            title={subject ? fill(words.waiting.title, { name }) : words.loading}
            text={<span role="status">{text}</span>}
            actions={
                subject && (
                    <>
                        {mayNeedLink && (
                            <p class="other-way">
                                {words.waiting.noWindow}{' '}
                                <a class="link" href={attempt.link} target="_blank" rel="opener">
                                    {words.waiting.open}
                                </a>
                            </p>
                        )}
                        <Button kind="quiet" onClick={() => controller.giveUp()}>
                            {words.waiting.giveUp}
                        </Button>
                    </>
                )
            }
        />
    );
}
